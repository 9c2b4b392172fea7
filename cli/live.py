"""What a command prints, shown while it runs: a limited number of harmless lines, then a count of the others.

Threat model: the output is the agent's. It is shown without its escape sequences, and what is left of control
characters as escapes a person can read. However much it is and however it is cut into pieces, what is kept and
shown of it is bounded.
"""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Callable

from agent.autonomy.visible import visible
from tools.text import plural, terminal_text

SHOWN_LINES = 20
"""The most lines of one command's output that are shown as they come."""
LAST_LINES = 4
"""How many of the lines after those are shown when it is over: how it went often stands there."""
COLUMNS = 200
MOST_HELD = 4096
"""The most characters of an unfinished line that are kept."""
INDENT = "  "


class LiveOutput:
    """The output of one command: takes pieces of bytes, gives text to print.

    What would show only once escape sequences are taken out of a line, `mask` takes out of that.
    """

    def __init__(self, mask: Callable[[str], str] = str) -> None:
        self._mask = mask
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line = ""
        self._printed = 0
        """How many characters of the unfinished line are on the screen, its indentation not counted."""
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self.shown = 0
        self.hidden = 0
        """Whole lines that are not shown."""

    @property
    def any(self) -> bool:
        """Has anything been shown?"""
        return self.shown > 0 or self._printed > 0

    def feed(self, piece: bytes) -> str:
        """What is to be printed now that `piece` has come; it may end in the middle of a line."""
        *whole, rest = self._decoder.decode(piece).split("\n")
        out = []
        for number, line in enumerate(whole):
            if self.shown >= SHOWN_LINES and number < len(whole) - LAST_LINES:
                self.hidden += 1  # of a flood only the count matters
                self._line = ""
                continue
            self._hold(line)
            out.append(self._finish())
        self._hold(rest)
        return "".join(out) + self._begin()

    def end(self) -> str:
        """What is to be printed when the command is over: the rest, and how much was not shown."""
        self._hold(self._decoder.decode(b"", final=True))
        out = self._finish() if self._line else ""
        if self.hidden:
            left = self.hidden - len(self._last)
            out += f"{INDENT}… {plural(left, 'more line')}\n" if left else ""
            out += "".join(f"{INDENT}{line}\n" for line in self._last)
        return out

    def _hold(self, text: str) -> None:
        self._line += text
        if len(self._line) > MOST_HELD:
            # Of a progress bar the last state counts, of any other line the beginning.
            last = self._line.rfind("\r", 0, -1)
            self._line = self._line[last:][:MOST_HELD] if last > 0 else self._line[:MOST_HELD]

    def _begin(self) -> str:
        """The new part of an unfinished line, as far as nothing that comes can change what it looks like."""
        if self.shown >= SHOWN_LINES or not self._line or not _settled(self._line):
            return ""
        fresh = _harmless(self._line)[self._printed : COLUMNS]
        before = "" if self._printed else INDENT
        self._printed += len(fresh)
        return before + fresh if fresh else ""

    def _finish(self) -> str:
        """The rest of a line that is complete; nothing when it is one too many."""
        line, printed = self._line, self._printed
        self._line, self._printed = "", 0
        shown = self._mask(_harmless(line))
        if self.shown >= SHOWN_LINES:
            self.hidden += 1
            self._last.append(shown[:COLUMNS])
            return ""
        self.shown += 1
        if not printed:
            return f"{INDENT}{shown[:COLUMNS]}\n"
        if _settled(line.removesuffix("\r")):
            return f"{shown[printed:COLUMNS]}\n"
        return f"\n{INDENT}{shown[:COLUMNS]}\n"  # what is on the screen was overwritten


def _harmless(line: str) -> str:
    return visible(terminal_text(line))


def _settled(line: str) -> bool:
    """Does each character show as itself, whatever comes after it?"""
    return not any(character in line for character in "\r\x1b\x9b")
