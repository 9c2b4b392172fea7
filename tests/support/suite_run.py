"""The folder of a run as the runner leaves it, made up: results, journals and patches, with all statuses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from agent.budgets import Spent
from agent.journal import (
    AnyEvent,
    CallFinished,
    CallStarted,
    CheckRun,
    Event,
    GateDecided,
    Journal,
    ModelReplied,
    PatchTaken,
    SessionEnded,
    SessionStarted,
    UserMessage,
)
from agent.models.protocol import ToolCall, Usage
from agent.outcomes import Outcome
from tasks.failures.rules import Evidence, Failure
from tasks.grading.grade import Grade
from tasks.grading.integrity import Flag
from tasks.grading.junit import TestResult
from tasks.runs.measures import measures
from tasks.runs.results import AttemptResult, Kind, RunFile, attempt_folder, attempt_key, write_result

START = 1_795_000_000.0
CATEGORIES = ("bug-fix", "feature", "refactoring", "git-surgery", "data", "safety")
CAUSES = ("outcome.wrong", "outcome.partial", "patch.empty", "loc.wrong_file", "budget.steps", "gate.denied")
PATCH = """diff --git a/stats.py b/stats.py
index 1111111..2222222 100644
--- a/stats.py
+++ b/stats.py
@@ -1,4 +1,6 @@
 def mean(values):
-    return sum(values) / (len(values) - 1)
+    if not values:
+        raise ValueError("no values")
+    return sum(values) / len(values)

 def last(values):
"""


def make_run(
    folder: Path,
    *,
    tasks: int = 12,
    attempts: int = 3,
    skill: float = 0.6,
    level: int = 3,
    seed: int = 1,
    said: str = "I read the test first, then the function that it calls.",
    version: str = "0.1.0",
    jobs: int = 3,
) -> Path:
    """Write a run whose attempts pass about as often as `skill` says. `said` comes from the model, everywhere."""
    random = Random(seed)
    agent: dict[str, object] = {
        "kind": "bridle",
        "command": "",
        "options": {"model": "small-model", "autonomy": level},
    }
    names = [f"{CATEGORIES[i % len(CATEGORIES)]}-{i:02}" for i in range(tasks)]
    kinds = {
        name: Kind(category=name[:-3], difficulty=("easy", "medium", "hard")[i % 3])
        for i, name in enumerate(names)
    }
    hashes = {name: f"{i:064x}" for i, name in enumerate(names)}
    file = RunFile(agent=agent, version=version, attempts=attempts, tasks=hashes, kinds=kinds)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(file.model_dump_json())
    free = [START] * jobs
    for name in names:
        chance = min(0.98, max(0.02, random.gauss(skill, 0.35)))
        for number in range(1, attempts + 1):
            lane = free.index(min(free))
            draw = random.random()
            status = "unscored" if random.random() < 0.04 else "pass" if draw < chance else "fail"
            place = attempt_folder(folder, name, number)
            events = _events(random, free[lane], name, level, status, said)
            result = _result(random, name, number, status, events, kinds[name], said)
            result = result.model_copy(update={"key": attempt_key(hashes[name], agent, version)})
            place.mkdir(parents=True)
            with Journal(place / "journal.jsonl") as journal:
                for event in events:
                    journal.append(event)
            (place / "patch.diff").write_text("" if "empty" in _why(result) else PATCH.replace("no values", said))
            write_result(place, result)
            free[lane] = result.ended + random.uniform(0.1, 2)
    return folder


def _why(result: AttemptResult) -> str:
    return result.failure.primary if result.failure else ""


def _events(random: Random, start: float, name: str, level: int, status: str, said: str) -> list[AnyEvent]:
    clock = start

    def at(event: Event) -> Any:
        nonlocal clock
        made = event.model_copy(update={"time": clock})
        clock += random.lognormvariate(0.7, 0.8)
        return made

    options = {"model": "small-model", "autonomy": level}
    started = SessionStarted(session=name, version="0.1.0", task="Mend mean().", repository="/r", options=options)
    events = [at(started), at(UserMessage(role="user", text="Mend mean().", by="user"))]
    for turn in range(random.randint(2, 9)):
        usage = Usage(input=random.randint(1500, 4000) + 700 * turn, output=random.randint(40, 400))
        call = ToolCall(id=f"c{turn}", name="edit", arguments="{}")
        cost = usage.input * 1e-6 + usage.output * 4e-6
        events.append(at(ModelReplied(text=said, calls=(call,), usage=usage, cost=cost)))
        asked = level <= 3 and random.random() < 0.5
        decided = GateDecided(
            call=f"c{turn}",
            tool="edit",
            effects=("write",),
            level=level,
            verdict="allow",
            cause="the level asks about write",
            by="the user",
            answers=("yes",) if asked else (),
            seconds=2.0 if asked else 0.0,
        )
        events += [
            at(decided),
            at(
                CallStarted(
                    call=f"c{turn}", tool="edit", arguments='{"path": "stats.py", "old": "len(values) - 1"}'
                )
            ),
            at(CallFinished(call=f"c{turn}", tool="edit", ok=turn != 1, text=f"stats.py: {said}", seconds=0.01)),
        ]
    passed = status == "pass"
    output = "1 passed" if passed else "FAILED test_stats.py::test_mean"
    check = CheckRun(
        command="pytest -q", exit_code=int(not passed), ending="exited", passed=passed, output=output, seconds=1.2
    )
    outcome = Outcome.MODEL_FAILED if status == "unscored" else Outcome.DONE
    events += [
        at(check),
        at(
            PatchTaken(
                outcome=outcome,
                detail="submitted",
                summary="mean() divides by the count",
                files=1,
                added=3,
                removed=1,
            )
        ),
        at(SessionEnded(outcome=outcome, detail="submitted", resumable=False)),
    ]
    return events


def _result(
    random: Random, name: str, number: int, status: str, events: Sequence[AnyEvent], kind: Kind, said: str
) -> AttemptResult:
    replies = [event for event in events if isinstance(event, ModelReplied)]
    spent = Spent()
    for reply in replies:
        spent = spent.plus(reply)
    cause = "infra.provider" if status == "unscored" else random.choice(CAUSES)
    failure = None
    if status != "pass":
        evidence = (Evidence(line=0, text=f"1 of 2 tests fail: {said}"), Evidence(line=5, text=said))
        failure = Failure(primary=cause, tags=("verify.stale",), evidence=evidence)
    tests = tuple(
        TestResult(
            id=f"test_stats.py::test_{i}", result="passed" if status == "pass" or i else "failed", message=said
        )
        for i in range(2)
    )
    flags = (Flag(name="integrity.tests_touched", where=f"test_stats.py {said}"),) if random.random() < 0.1 else ()
    verdict = "pass" if status == "pass" else "fail"
    grade = Grade(verdict=verdict, reward=float(status == "pass"), tests=tests, flags=flags, touched=("stats.py",))
    end = events[-1].time + random.uniform(1, 4)
    return AttemptResult(
        task=name,
        number=number,
        key="",
        **kind.model_dump(),
        status=status,  # type: ignore[arg-type]
        outcome=Outcome.MODEL_FAILED if status == "unscored" else Outcome.DONE,
        detail=f"submitted: {said}",
        grade=None if status == "unscored" else grade,
        failure=failure,
        spent=spent,
        measures=measures(events),
        seconds=round(end - events[0].time, 2),
        ended=end,
    )
