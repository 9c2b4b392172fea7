"""What an agent did on the way, by rule: tags in most attempts, and the primary cause of those that went nowhere.

An attempt goes nowhere when one habit makes up half of its last turns and it delivered nothing, or was stopped.
More steps, tokens or money would not have helped it, so the habit comes before the budget that ended it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from agent.models.fingerprint import mask
from agent.outcomes import Outcome
from tasks.failures.found import Case, Found
from tasks.failures.turns import MAX_LOOKED, Turn
from tasks.failures.words import first_words

REPEATS = 3
"""The same call with the same result, so often, is a repetition."""
REVERTS = 2
"""Changes that are taken back, so many, are going in circles."""
READS = 12
"""Looks in a row, with no change between them, that count as nothing but looking."""
LAST = 10
"""Turns at the end that say what an attempt was busy with."""
LEAST = 3
"""Turns that one habit has to make up, to have been what the attempt was busy with."""
FLOOD_BYTES = 100_000
"""Characters of results, all together, that drown a conversation."""
FLOOD_ONE = 20_000
"""Characters of one result, as it came before it was cut, of which the agent saw only both ends."""
_NOT_FOUND = re.compile(
    r"(?:command not found|: not found)\s*$|No such file or directory: '[^'/\n]{1,200}'", re.MULTILINE
)
_UNDO = re.compile(r"\bgit\s+(?:checkout|restore|stash|reset)\b")
_TOLD = {"bad": "tool.bad_call", "denied": "gate.denied"}
_STOPPED = frozenset({Outcome.BUDGET, Outcome.STUCK})


def habits(done: Sequence[Turn]) -> list[Found]:
    """Everything that was seen, once each, where it was seen first."""
    seen = [found for turn, names in _named(done) for found in (_at(name, turn) for name in names)]
    seen += [*_verified(done), *_drowned(done)]
    counts = Counter(each.name for each in seen)
    first = {each.name: each for each in reversed(seen)}
    order = dict.fromkeys(each.name for each in seen)
    return [_counted(first[name], counts[name]) for name in order]


def busy(done: Sequence[Turn], case: Case) -> Found | None:
    """The habit that an attempt was busy with at its end, if it went nowhere because of that."""
    if case.outcome not in _STOPPED and case.touched:
        return None
    named = [(turn, names) for turn, names in _named(done) if turn.tool not in ("submit", "check")][-LAST:]
    for name in ORDER:
        counted = [turn for turn, _ in named if _counts(turn, name)]
        mine = [turn for turn, names in named if name in names and _counts(turn, name)]
        if len(mine) >= LEAST and 2 * len(mine) >= len(counted):
            return _counted(_at(name, mine[-1]), len(mine))
    return None


def _counts(turn: Turn, name: str) -> bool:
    """Whether a turn says something of a habit: going in circles shows in changes, and words are no calls."""
    if name == "loop.edit_revert":
        return turn.edits
    return turn.kind != "words" or name != "loop.repeat"


ORDER = (
    *("tool.bad_call", "edit.nomatch", "cmd.not_found", "cmd.timeout"),
    *("gate.denied", "gate.timeout", "loop.edit_revert", "loop.read", "loop.repeat"),
)
"""A call that is made over and over because it is malformed is a malformed call first, and a repetition second."""


def _named(done: Sequence[Turn]) -> list[tuple[Turn, list[str]]]:
    """The habits that each turn shows."""
    same = Counter(_same(turn) for turn in done)
    texts: dict[str, list[str]] = {}
    reading = _reading(done)
    reverts = 0
    out = []
    for number, turn in enumerate(done):
        names = list(_of_one(turn))
        reverts += _reverts(turn, texts)
        if reverts >= REVERTS and turn.edits:
            names.append("loop.edit_revert")
        if same[_same(turn)] >= REPEATS and _same(turn) is not None:
            names.append("loop.repeat")
        if number in reading:
            names.append("loop.read")
        out.append((turn, names))
    return out


def _same(turn: Turn) -> tuple[str, str, str] | None:
    """What makes a turn the same as another; None for one that may be made again and again."""
    if turn.kind == "words":
        return ("", "", turn.text) if turn.text.strip() else None
    waits = turn.tool == "process" or turn.command.strip().startswith("sleep ")
    if turn.kind not in ("ran", "bad") or turn.tool in ("check", "submit") or waits:
        return None
    return (turn.tool, turn.arguments, mask(turn.text[:MAX_LOOKED]))


def _reading(done: Sequence[Turn]) -> set[int]:
    """The turns that belong to a long row of looks with nothing done between them."""
    found: set[int] = set()
    row: list[int] = []
    for number, turn in enumerate(done):
        if turn.looks:
            row.append(number)
        elif turn.edits or turn.runs:
            row = []
        if len(row) >= READS:
            found.update(row)
    return found


def _of_one(turn: Turn) -> Iterator[str]:
    malformed = turn.kind == "bad" and not (turn.tool == "submit" and "came with other calls" in turn.text)
    if malformed or turn.as_text:
        yield "tool.bad_call"
    elif turn.kind == "denied" and turn.tool != "deliver":
        yield "gate.timeout" if "answered within" in turn.reason else "gate.denied"
    elif turn.kind == "ran" and not turn.ok:
        if turn.tool == "edit":
            yield "edit.nomatch"
        elif turn.facts.get("ending") == "timeout":
            yield "cmd.timeout"
        elif turn.facts.get("ending") in ("out_of_memory", "disk_full"):
            yield "cmd.resources"
        elif turn.facts.get("exit_code") == 127 or _NOT_FOUND.search(turn.text[-2000:]):
            yield "cmd.not_found"


def _reverts(turn: Turn, texts: dict[str, list[str]]) -> int:
    """1 when this takes back an earlier change: the same edit the other way round, an older text, or git's way."""
    if not turn.edits and not (turn.kind == "ran" and _UNDO.search(turn.command[:2000])):
        return 0
    if turn.tool == "shell":
        return int(bool(texts) and _UNDO.search(turn.command[:2000]) is not None)
    given = turn.given
    mine = texts.setdefault(turn.path, [])
    if turn.tool == "edit":
        back = f"{given.get('new')}\0{given.get('old')}" in mine
        mine.append(f"{given.get('old')}\0{given.get('new')}")
        return int(back)
    text = str(given.get("content"))
    back = text in mine and mine[-1] != text
    mine.append(text)
    return int(back)


def _verified(done: Sequence[Turn]) -> Iterator[Found]:
    """Whether the agent itself tried what it changed; the check at a submission is the harness's."""
    changed = max((each.line for each in done if each.edits), default=0)
    if not changed:
        return
    tried = [each for each in done if each.runs and each.tool != "check"]
    if not tried:
        yield Found("verify.none", changed, "changed, and nothing was run to see if it works")
    elif tried[-1].line < changed:
        yield Found("verify.stale", changed, f"changed after the last run, which is line {tried[-1].line}")


def ignored(done: Sequence[Turn]) -> Found | None:
    """The failing tests that an agent had before its eyes when it submitted, with no change in between."""
    last = next(
        (n for n in range(len(done) - 1, -1, -1) if done[n].tool == "submit" and done[n].kind == "ran"), None
    )
    if last is None:
        return None
    for turn in reversed(done[:last]):
        if turn.edits:
            return None
        if turn.tests:
            return (
                None
                if _good(turn)
                else Found("verify.ignored", turn.end, f"submitted although these fail: {_words(turn)}")
            )
    return None


def _good(turn: Turn) -> bool:
    """Whether tests passed; where their output went through a pipe, the exit code is not theirs."""
    return turn.ok and not re.search(
        r"^(?:=+ )?\d+ (?:failed|errors?)\b|^FAILED ", turn.text[-5000:], re.MULTILINE
    )


def _drowned(done: Sequence[Turn]) -> Iterator[Found]:
    total = 0
    for turn in done:
        total += len(turn.text) if turn.kind != "words" else 0
        if total > FLOOD_BYTES:
            yield Found("ctx.flood", turn.end, f"{total} characters of results by then")
            break
        dropped = turn.facts.get("dropped")
        if isinstance(dropped, int) and dropped >= FLOOD_ONE:
            yield Found("ctx.flood", turn.end, f"{dropped} bytes more than could be shown: {_words(turn)}")
            break
    for number, turn in enumerate(done):
        dropped, spill = turn.facts.get("dropped"), turn.facts.get("spill")
        if isinstance(dropped, int) and dropped > 0 and not _looked_up(done[number + 1 :], spill):
            yield Found(
                "ctx.lossy", turn.end, f"{dropped} bytes were left out, and never looked at: {_words(turn)}"
            )
            break
        if turn.kind == "words" and turn.reason == "length":
            yield Found("ctx.lossy", turn.end, "the answer was cut off at the output limit")
            break


def _looked_up(later: Sequence[Turn], spill: object) -> bool:
    return isinstance(spill, str) and any(spill in each.arguments for each in later)


def _at(name: str, turn: Turn) -> Found:
    return Found(name, turn.end or turn.line, _words(turn))


def _words(turn: Turn) -> str:
    """A turn in a line: what was called, and how its result begins or ends."""
    called = turn.command or turn.path or turn.arguments
    said = turn.reason if turn.kind == "denied" else turn.text
    lines = [line.strip() for line in said.strip().splitlines() if line.strip()]
    if turn.tool == "edit" and turn.ok:
        lines = [first_words(str(turn.given.get("new"))) or "(taken out)"]
    shown = lines[-1] if lines and turn.tool in ("shell", "check") else lines[0] if lines else ""
    head = f"{turn.tool} {' '.join(called.split())[:120]}".strip()
    return f"{head} → {shown[:160]}" if head else shown[:200]


def _counted(found: Found, times: int) -> Found:
    return found._replace(text=f"{found.text} ({times} times)") if times > 1 else found
