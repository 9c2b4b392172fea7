"""What a failing check says: where it failed, and the few lines worth showing to a model.

Threat model: the output is the agent's text. It is only matched against patterns that take linear time, and what
it names (paths, lines, functions) is looked up in the sandbox afterwards, never trusted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_SHOWN = 1400
"""Characters of a failure that the model is shown; longer ones made small models lose the task."""
MAX_FRAMES = 40

_FRAME = re.compile(r"^([^\s:'\"]{1,300}\.py):(\d{1,7}):", re.MULTILINE)
_NATIVE = re.compile(r'^[ \t]{0,40}File "([^"\n]{1,300}\.py)", line (\d{1,7})', re.MULTILINE)
_SECTION = re.compile(r"^_{3,} .{1,300} _{3,}$", re.MULTILINE)
_SUMMARY = re.compile(r"^=+ (short test summary|warnings summary)", re.MULTILINE)
_CAPTURED = re.compile(r"^-+ Captured ", re.MULTILINE)
_PYTEST = re.compile(r"^=+ FAILURES =+$|^=+ ERRORS =+$|^=+ short test summary|^\d+ (?:failed|error)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Failure:
    """The first failure of a run. `frames` go from the test inwards; `marked` are the lines pytest points at."""

    frames: tuple[tuple[str, int], ...]
    marked: tuple[str, ...]
    text: str


def is_pytest(output: str) -> bool:
    """Whether this looks like the output of a failing pytest run."""
    return _PYTEST.search(output) is not None


def first_failure(output: str, workspace: str) -> Failure:
    """The first failure of the output of pytest, or of anything that prints a Python traceback."""
    plain = output.replace(workspace.rstrip("/") + "/", "")
    section = _first_section(plain)
    frames = [*_FRAME.finditer(section)] or [*_NATIVE.finditer(section)]
    lines = section.splitlines()
    marked = tuple(line[1:].strip() for line in lines if line.startswith(">"))
    if any(line.startswith(("E  ", "> ")) for line in lines):
        lines = [line for line in lines if line.startswith((">", "E ")) or _FRAME.match(line)]
        text = "\n".join(_squeezed(line) for line in lines)[:MAX_SHOWN]
    else:
        text = section.strip()[-MAX_SHOWN:]
    return Failure(tuple((m[1], int(m[2])) for m in frames[-MAX_FRAMES:]), marked, text)


def _first_section(output: str) -> str:
    """From the first failing test's heading to the next one; all of it where there are no headings."""
    starts = [match.start() for match in _SECTION.finditer(output)]
    if starts:
        output = output[starts[0] : starts[1] if len(starts) > 1 else len(output)]
    for pattern in (_SUMMARY, _CAPTURED):
        if (end := pattern.search(output)) and end.start() > 0:
            output = output[: end.start()]
    return output


def _squeezed(line: str) -> str:
    """pytest indents what it points at as deeply as the source; one blank is enough."""
    return f"{line[0]} {line[1:].strip()}" if line.startswith(">") else line.rstrip()
