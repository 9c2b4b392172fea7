"""Text out of the sandbox, made fit for a model and a terminal: bounded, and free of control sequences.

Threat model: a file or a command can print escape sequences that repaint, hide or reprogram the terminal of the
person reading, and direction marks that show code in another order than it runs. None of it gets through raw.
"""

from __future__ import annotations

import re
import signal

LIMIT = 30_000
"""The most characters of a result that the model is given; `shell` shows less."""

_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, cursor movement
    r"|\x1b[\]PX^_][^\x07\x1b\n]{0,2048}(?:\x07|\x1b\\)"  # titles, links, device control
    r"|\x1b[ -/]*[0-~]"
)
_INVISIBLE = str.maketrans(
    {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"}
    | {0x7F: "\u2421"}
    | {code: f"<U+{code:04X}>" for code in (*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))}
    | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
)


def visible(text: str) -> str:
    """`text` with control characters shown as pictures (NUL as ␀), direction marks and C1 codes as <U+...>."""
    return text.translate(_INVISIBLE)


def one_line(text: str, limit: int = 200) -> str:
    """`text` on one line, made visible and cut to `limit` characters: for titles and messages."""
    shown = visible(" ".join(text.split()))
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def terminal_text(text: str) -> str:
    """What a command printed, as it would stand on paper: no escapes, and of progress bars the last state."""
    plain = re.sub(r"\r+\n", "\n", _ESCAPES.sub("", text))
    if "\r" in plain:
        plain = "\n".join(_last_state(line) for line in plain.split("\n"))
    return visible(plain)


def _last_state(line: str) -> str:
    return next((part for part in reversed(line.split("\r")) if part), "")


def clip(text: str, limit: int = LIMIT) -> str:
    """At most about `limit` characters, head and tail kept, saying how many were left out."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half} characters left out …]\n{text[-half:]}"


def numbered(lines: list[str], first: int, width: int = 2000) -> str:
    """`lines` with their numbers from `first`, in the manner of `cat -n`; very long ones are cut, saying so."""
    return "\n".join(f"{number:6}\t{shorten(line, width)}" for number, line in enumerate(lines, first))


def shorten(line: str, width: int) -> str:
    """One line of a file for showing, cut to `width` characters."""
    plain = visible(line.removesuffix("\r"))
    return plain if len(plain) <= width else f"{plain[:width]}… [line cut: {len(plain)} characters]"


def signal_name(exit_code: int | None) -> str:
    """What an exit code above 128 means."""
    if exit_code is not None and exit_code > 128 and exit_code - 128 in set(signal.Signals):
        return f": killed by {signal.Signals(exit_code - 128).name}"
    return ""


def plural(count: int, thing: str, things: str = "") -> str:
    """`1 line`, `2 lines`; `things` where adding an s is not enough."""
    return f"{count} {thing}" if count == 1 else f"{count} {things or thing + 's'}"
