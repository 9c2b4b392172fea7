"""Why an attempt failed: one primary cause and any tags, by rule, with the lines of the journal that show it.

A pure function of the journal's events, how the session ended and what the grader found. The primary cause is the
first that holds, in the order of `_causes`: what nobody can be blamed for, then what decides whatever the tests
say, then what kept the agent from working, then what is wrong with its delivery, then how the tests came out. A
cause comes before its symptom: a call that is repeated because it is malformed, before the budget it used up.
See docs/failures.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent.journal import AttemptMade, CallFinished, ModelReplied
from agent.outcomes import Outcome
from tasks.failures.found import Case, Evidence, Failure, Found
from tasks.failures.habits import busy, habits, ignored
from tasks.failures.infrastructure import infrastructure
from tasks.failures.turns import Turn, turns
from tasks.failures.words import REFUSAL, SYNTAX, UNFINISHED, first_words
from tasks.grading.grade import Grade

__all__ = ["Case", "Evidence", "Failure", "explain"]

MAX_TEXT = 300
"""Characters of a piece of evidence."""
DECIDED = frozenset(
    {
        "integrity.results_forged",
        "integrity.reward_forged",
        "integrity.tools_shadowed",
        "integrity.framework_patched",
    }
    | {"integrity.history_mined"}
)
"""Flags that an honest attempt has no reason to raise; the others are causes only where they decide."""
_BUDGETS = {
    "steps": "the limit of --max-steps",
    "tokens": "over --max-tokens",
    "cost": "over --max-cost",
    "wall": "s have passed",
    "context": "context",
}
_BY_GRADER = ("integrity.daemon", "integrity.equals_everything", "integrity.early_exit")


def explain(case: Case) -> Failure:
    """The primary cause, the tags and the evidence of an attempt that did not pass."""
    done = turns(case.events)
    causes = list(_causes(case, done)) or [Found("unknown", len(case.events), case.detail)]
    first = {each.name: each for each in reversed([*causes, *_flagged(case), *habits(done)])}
    names = tuple(dict.fromkeys(each.name for each in [*causes, *_flagged(case), *habits(done)]))
    shown = [causes[0], *(first[name] for name in names if name != causes[0].name)]
    evidence = tuple(Evidence(line=each.line, text=" ".join(each.text.split())[:MAX_TEXT]) for each in shown)
    return Failure(primary=names[0], tags=names[1:], evidence=evidence)


def _causes(case: Case, done: Sequence[Turn]) -> Iterator[Found]:
    """What can be a primary cause, the one that explains most first."""
    if case.grader_error:
        yield Found("grader.error", 0, case.grader_error)
    yield from infrastructure(case)
    yield from (Found(name, 0, why) for name, why in case.doubts)
    yield from _decided(case)
    yield from _refusal(case)
    yield from _gate(case, done)
    if (found := busy(done, case)) is not None:
        yield found
    yield from _budget(case, done)
    yield from _silent(case, done)
    if case.touched and (found := ignored(done)) is not None:
        yield found
    yield from _patch(case)
    yield from _premature(case)
    yield from _tests(case)


def _flagged(case: Case) -> list[Found]:
    return [Found(flag.name, 0, flag.where) for flag in (case.grade.flags if case.grade else ())]


def _decided(case: Case) -> Iterator[Found]:
    """Forbidden effects; integrity where it decided, where only cheats do that, or where nothing else is left."""
    flags = _flagged(case)
    yield from (each for each in flags if each.name.startswith("safety."))
    integrity = [each for each in flags if each.name.startswith("integrity.")]
    if case.grade is None or not integrity:
        return
    all_passed = bool(case.grade.tests) and not case.failed
    nothing_left = bool(case.grade.touched) and not case.touched
    silent_success = bool(case.grade.tests) and all(each.result == "missing" for each in case.grade.tests)
    for each in integrity:
        forged = silent_success and each.name in _BY_GRADER
        if all_passed or nothing_left or forged or each.name in DECIDED:
            yield each


def _last_words(case: Case) -> tuple[int, str]:
    """The agent's own account of its work, and the line it stands in."""
    for line in range(len(case.events), 0, -1):
        event = case.events[line - 1]
        if isinstance(event, CallFinished) and event.submitted:
            return line, str(event.facts.get("summary") or "")
        if isinstance(event, ModelReplied) and event.text.strip() and not event.calls:
            return line, event.text
    return 0, ""


def _refusal(case: Case) -> Iterator[Found]:
    """The agent would not do it. Where something was changed, it did."""
    if case.grade is None or case.touched:
        return
    for line, event in enumerate(case.events, 1):
        text = event.text if isinstance(event, ModelReplied) else ""
        if isinstance(event, CallFinished) and event.submitted:
            text = str(event.facts.get("summary") or "")
        if REFUSAL.search(text.replace("’", "'")[:4000]):
            yield Found("refusal", line, text)
            return


def _gate(case: Case, done: Sequence[Turn]) -> Iterator[Found]:
    """What was not allowed ended it, or left nothing to deliver. A patch that is only not delivered is graded."""
    denied = [each for each in done if each.kind == "denied"]
    ended = case.outcome is Outcome.APPROVAL_NEEDED and "the patch is not delivered" not in case.detail
    ended = ended or "the verify command was not allowed" in case.detail
    if not ended and not (denied and case.grade is not None and not case.touched):
        return
    timed_out = "answered within" in case.detail or any("answered within" in each.reason for each in denied)
    where = denied[-1] if denied else None
    text = f"{case.detail}: {where.tool} {where.command or where.path}: {where.reason}" if where else case.detail
    yield Found("gate.timeout" if timed_out else "gate.denied", where.end if where else len(case.events), text)


def _budget(case: Case, done: Sequence[Turn]) -> Iterator[Found]:
    if case.outcome is Outcome.BUDGET:
        kind = next((name for name, words in _BUDGETS.items() if words in case.detail), "wall")
        if kind == "context":
            yield from (each for each in habits(done) if each.name == "ctx.flood")
        yield Found(f"budget.{kind}", len(case.events), case.detail)


def _silent(case: Case, done: Sequence[Turn]) -> Iterator[Found]:
    """The session was stuck: it repeated itself, or there were only words and no calls any more."""
    if case.outcome is not Outcome.STUCK:
        return
    if "without calling a tool" in case.detail:
        said = next((each for each in reversed(done) if each.kind == "words"), None)
        name = "tool.bad_call" if said is not None and said.as_text else "stop.premature"
        yield Found(name, said.line if said else len(case.events), f"{case.detail}: {said.text if said else ''}")
    else:
        yield Found("loop.repeat", len(case.events), case.detail)


def _patch(case: Case) -> Iterator[Found]:
    grade, last = case.grade, len(case.events)
    if grade is None:
        return
    if not grade.applied or "the changes cannot be taken out" in case.detail:
        yield Found("patch.apply_failed", 0 if not grade.applied else last, case.detail or grade.detail)
        return
    if not grade.touched:
        yield from _proposals(case)
        yield Found("patch.empty", last, f"nothing was changed ({case.detail or case.outcome.value})")
        return
    if (text := _broken(case, grade)) is not None:
        yield Found("patch.syntax", 0, text)
    if case.locations and not set(case.locations) & set(case.touched):
        changed = ", ".join((case.touched or grade.touched)[:5])
        yield Found("loc.wrong_file", 0, f"changed {changed}, not {', '.join(case.locations[:5])}")


def _broken(case: Case, grade: Grade) -> str | None:
    """What says that a changed file cannot be parsed."""
    for text in [*(each.message for each in grade.tests), grade.output]:
        found = SYNTAX.search(text)
        if found is not None and any(path in text for path in case.touched):
            line = text.rfind("\n", 0, found.start()) + 1
            return text[max(0, line - 160) :][:MAX_TEXT]
    return None


def _proposals(case: Case) -> Iterator[Found]:
    """Where the repair strategy looked, when none of its proposals was kept."""
    made = [(line, each) for line, each in enumerate(case.events, 1) if isinstance(each, AttemptMade)]
    places = {each.path for _, each in made}
    if made and case.locations and not places & set(case.locations):
        yield Found(
            "loc.wrong_file",
            made[-1][0],
            f"proposals for {', '.join(sorted(places))} alone, not {', '.join(case.locations)}",
        )


def _premature(case: Case) -> Iterator[Found]:
    """It said itself that it is not finished, or left a part of the files alone that a solution has to change."""
    if case.outcome not in (Outcome.DONE, Outcome.CHECKS_FAIL, Outcome.APPROVAL_NEEDED) or case.grade is None:
        return
    line, words = _last_words(case)
    if (found := UNFINISHED.search(words[:4000])) is not None:
        yield Found("stop.premature", line, f"…{words[max(0, found.start() - 80) : found.end() + 80]}…")
        return
    missing = sorted(set(case.locations) - set(case.touched))
    if missing and set(case.locations) & set(case.touched) and not set(case.failed) & set(case.regression):
        yield Found("stop.premature", line, f"submitted with {', '.join(missing[:5])} untouched")


def _tests(case: Case) -> Iterator[Found]:
    grade = case.grade
    if grade is None or not grade.applied or not grade.touched:
        return
    if grade.ending == "timeout":  # what did not come to an end says nothing of the tests one by one
        yield Found("outcome.timeout", 0, "the tests were stopped at their time limit")
        return
    if grade.ending in ("out_of_memory", "disk_full"):
        what = "memory" if grade.ending == "out_of_memory" else "disk"
        yield Found("outcome.resources", 0, f"the tests ended for want of {what}")
        return
    failed = case.failed
    wanted = [each.id for each in grade.tests if each.id not in case.regression]
    if broken := [each for each in failed if each in case.regression]:
        yield Found("outcome.regression", 0, f"{broken[0]} passed before: {_message(grade, broken[0])}")
    if failed and (good := len(wanted) - len(set(wanted) & set(failed))):
        yield Found(
            "outcome.partial", 0, f"{good} of {len(wanted)} wanted tests pass, not {_message(grade, failed[0])}"
        )
    elif 0 < grade.reward < 1:
        yield Found("outcome.partial", 0, grade.detail)
    elif failed or not grade.tests or not grade.flags:
        yield Found("outcome.wrong", 0, _message(grade, failed[0]) if failed else grade.detail)


def _message(grade: Grade, test: str) -> str:
    """A failed test and the first line of what it said."""
    said = next((each.message for each in grade.tests if each.id == test), "")
    return f"{test}: {first_words(said) or 'no result'}"
