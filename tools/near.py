"""Why a text to be replaced was not found in a file: the likely mistake, or the lines most like it.

The file is the agent's and may be huge or odd: everything here takes time linear in it, or bounded.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter

from tools.text import numbered

_MAX_SHOWN = 30
_MAX_COMPARED = 400


def explain_miss(text: str, old: str, new: str) -> str:
    """One or two sentences, and the lines of the file they are about, for the model to try again with.

    `text`, `old` and `new` have LF line endings.
    """
    lines = text.split("\n")
    bare = re.sub(r"(?m)^ *\d+\t", "", old)
    if bare != old and bare in text:
        return "`old` holds the line numbers that read shows; leave the number and the tab out of each line."
    unescaped = old.replace("\\n", "\n").replace("\\t", "\t").replace('\\"', '"')
    if unescaped != old and unescaped in text:
        return (
            "`old` is escaped once too often (it holds a backslash and a letter for a line break, tab or quote)."
        )
    if old.rstrip("\n") and text.rstrip("\n").endswith(old.rstrip("\n")):
        return "The file ends with fewer line breaks than `old`: leave the last ones out of `old`."
    place = _loosely(lines, old)
    if place is not None:
        count = len(_stripped(old))
        return f"It differs in spaces, tabs or blank lines only. The file has:\n{_show(lines, place, count)}"
    if new.strip() and new in text:
        number = text.count("\n", 0, text.index(new)) + 1
        return f"`new` is in the file already, at line {number}: perhaps this edit was made before."
    place = _nearest(lines, old)
    if place is None:
        return "Nothing in the file is like it: read the file again."
    return f"The nearest lines are:\n{_show(lines, place, _height(old))}"


def _height(old: str) -> int:
    return old.strip("\n").count("\n") + 1


def _show(lines: list[str], place: int, count: int) -> str:
    more = f"\n[{count - _MAX_SHOWN} more lines]" if count > _MAX_SHOWN else ""
    return numbered(lines[place : place + min(count, _MAX_SHOWN)], place + 1, 500) + more


def _stripped(old: str) -> list[str]:
    return [" ".join(line.split()) for line in old.strip().split("\n")]


def _loosely(lines: list[str], old: str) -> int | None:
    """Where the file has the lines of `old` when only their words count (index of the first line)."""
    wanted = _stripped(old)
    if not any(wanted):
        return None
    squeezed = [" ".join(line.split()) for line in lines]
    for place in range(len(lines) - len(wanted) + 1):
        if squeezed[place] == wanted[0] and squeezed[place : place + len(wanted)] == wanted:
            return place
    if len(wanted) == 1:
        return next((place for place, line in enumerate(squeezed) if wanted[0] in line), None)
    return None


def _nearest(lines: list[str], old: str) -> int | None:
    """The index where the window of lines most like `old` begins, None when nothing is like it.

    Windows are ranked by the lines they share with `old`; where none shares any, by their words.
    """
    wanted = [line.strip() for line in old.strip("\n").split("\n")]
    height = len(wanted)
    keys = Counter(line for line in wanted if len(line) > 1)
    points = [1.0 if line.strip() in keys else 0.0 for line in lines]
    if not any(points):
        words = set(re.findall(r"\w+", old))
        points = [len(words.intersection(re.findall(r"\w+", line[:1000]))) / (len(words) or 1) for line in lines]
    if not any(points):
        return None
    totals = _windows(points, height)
    best = sorted(range(len(totals)), key=lambda place: -totals[place])[:_MAX_COMPARED]
    sample = "\n".join(wanted)[:2000]
    matcher = difflib.SequenceMatcher(None, b=sample, autojunk=False)
    ranked: list[tuple[float, int]] = []
    for place in best[: max(5, _MAX_COMPARED * 200 // (len(sample) + 200))]:
        window = "\n".join(line.strip()[:1000] for line in lines[place : place + height])[:2000]
        matcher.set_seq1(window)
        ranked.append((matcher.quick_ratio() if len(sample) > 400 else matcher.ratio(), -place))
    score, place = max(ranked)
    return -place if score > 0.3 else None


def _windows(points: list[float], height: int) -> list[float]:
    """The sum of the `height` points from each place on."""
    total = sum(points[:height])
    sums = [total]
    for place in range(1, max(1, len(points) - height + 1)):
        total += (points[place + height - 1] if place + height - 1 < len(points) else 0) - points[place - 1]
        sums.append(total)
    return sums
