"""What a command printed, as a model is shown it: cleaned and, when long, its beginning and its end.

Threat model: the output is the agent's, and so is the file that holds all of it. Its lines are counted by a
program in the sandbox; the count is used only when the size it tells is the one that the sandbox measured.
"""

from __future__ import annotations

import re

from sandboxes.protocol import Output, Sandbox
from tools.text import LIMIT, clip, plural, terminal_text


async def printed(sandbox: Sandbox, output: Output, head: int, tail: int) -> str:
    """The text of `output`; of one that the sandbox cut, the first `head` and the last `tail` bytes at most.

    The cut is made at line ends where lines are not too long. A line in its place tells what is missing, and
    the file that holds it. Never longer than about LIMIT characters. Raises SandboxLost.
    """
    if not output.dropped:
        return clip(_text(output.head + output.tail), LIMIT).rstrip("\n")
    first, last = output.head[:head], output.tail[-tail:]
    begin, end = first.rfind(b"\n") + 1, last.find(b"\n") + 1
    # Half of the room is worth more than a clean cut.
    clean = begin > len(first) // 2 and 0 < end < len(last) // 2
    if clean:
        first, last = first[:begin], last[end:]
    note = await _left_out(sandbox, output, first, last, lines=clean)
    beginning = clip(_text(first), LIMIT // 2).removesuffix("\n")
    return f"{beginning}\n[… {note} …]\n{clip(_text(last), LIMIT // 2)}".rstrip("\n")


def _text(data: bytes) -> str:
    return terminal_text(data.decode("utf-8", "replace"))


async def _left_out(sandbox: Sandbox, output: Output, first: bytes, last: bytes, *, lines: bool) -> str:
    """How much lies between `first` and `last`, and where it can be read."""
    missing = f"{output.total - len(first) - len(last)} bytes left out"
    if output.spill is None:
        return missing
    counted = await sandbox.exec(["wc", "-l", "-c", output.spill], cwd="/", timeout=20, max_output=1000)
    numbers = re.match(rb"\s*(\d{1,15})\s+(\d{1,15})\s", counted.output.head)
    whole = numbers is not None and int(numbers[2]) == output.total
    if numbers is not None and whole and lines:
        start, stop = first.count(b"\n") + 1, int(numbers[1]) - last.count(b"\n")
        missing = f"{plural(stop - start + 1, 'line')} left out, from line {start} on"
    return f"{missing}; {'all' if whole else 'more'} of it: {output.spill} (read or search it)"
