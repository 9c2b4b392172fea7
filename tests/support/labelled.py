"""The hand-labelled attempts: kept from real runs, read, and compared with what the rules say.

    PYTHONPATH=.:tests python -m support.labelled report

report                       agreement, and which causes are taken for which
keep RUN TASK N NAME TASKS   keep an attempt of a run; TASKS is the folder its task is in
show NAME                    what a person reads before labelling: nothing of what the rules say

Each attempt is a folder of `labelled/`: `journal.jsonl.gz`, `result.json` (without the rules' verdict),
`facts.json` (what the task says), `patch.diff`, and `label.toml`, which was written after reading the other four.
"""

from __future__ import annotations

import gzip
import json
import sys
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from agent.journal import AnyEvent, read_events
from tasks.failures.rules import Case, Failure, explain
from tasks.format.task import load_task
from tasks.runs.results import AttemptResult, attempt_folder

FOLDER = Path(__file__).parents[1] / "tasks" / "failures" / "labelled"


@dataclass(frozen=True)
class Labelled:
    """One attempt, and what a person says of it."""

    name: str
    primary: str
    tags: tuple[str, ...]
    why: str
    source: str
    held_out: bool
    first: str
    case: Case
    failure: Failure
    """What the rules say of it; `first` is the primary cause that they said when it was labelled."""


def events_of(folder: Path) -> list[AnyEvent]:
    """The events of a kept journal."""
    packed = folder / "journal.jsonl.gz"
    if not packed.is_file():
        return []
    with TemporaryDirectory() as place:
        plain = Path(place) / "journal.jsonl"
        plain.write_bytes(gzip.decompress(packed.read_bytes()))
        return read_events(plain)


def case_of(folder: Path) -> tuple[AttemptResult, Case]:
    """A kept attempt as the rules see it."""
    result = AttemptResult.model_validate_json((folder / "result.json").read_bytes())
    facts: dict[str, Any] = json.loads((folder / "facts.json").read_text())
    graded = result.grade is not None
    blamed = result.outcome.value in ("model_failed", "sandbox_failed", "internal_error")
    case = Case(
        events_of(folder),
        result.outcome,
        result.detail,
        result.grade,
        tuple(facts["locations"]),
        tuple(facts["regression"]),
        grader_error="" if graded or blamed else result.detail,
        doubts=result.doubts,
    )
    return result, case


def labelled() -> list[Labelled]:
    """The attempts that have a label."""
    found = []
    for folder in sorted(path.parent for path in FOLDER.glob("*/label.toml")):
        said = tomllib.loads((folder / "label.toml").read_text())
        case = case_of(folder)[1]
        found.append(
            Labelled(
                folder.name,
                said["primary"],
                tuple(said["tags"]),
                said["why"],
                said["source"],
                bool(said.get("held_out")),
                said.get("first", ""),
                case,
                explain(case),
            )
        )
    return found


def agreement(of: Sequence[Labelled]) -> float:
    """The share of attempts whose primary cause the rules find; 0 of none."""
    return sum(each.failure.primary == each.primary for each in of) / len(of) if of else 0.0


def report() -> list[str]:
    """Agreement, over all and by source, and every disagreement."""
    of = labelled()
    lines = []
    kinds = {"all": of, "held out": [each for each in of if each.held_out]}
    kinds |= {source: [each for each in of if each.source == source] for source in sorted({e.source for e in of})}
    for name, some in kinds.items():
        known = sum(each.failure.primary != "unknown" for each in some)
        right = sum(each.failure.primary == each.primary for each in some)
        share = f"{right / len(some):.0%}" if some else "-"
        first = sum(each.first == each.primary for each in some)
        lines.append(
            f"{name:9} {right:3} of {len(some):3} primary causes agree ({share}), {first} did at first; "
            f"{known} have a cause"
        )
    seen = Counter(tag for each in of for tag in each.failure.tags)
    both = Counter(tag for each in of for tag in set(each.tags) & set(each.failure.tags))
    named = Counter(tag for each in of for tag in each.tags)
    total, meant, said = sum(both.values()), sum(named.values()), sum(seen.values())
    lines.append(f"tags: {total} of {meant} labelled ones are found; {said} are said in all")
    lines += ["", f"{'labelled':24} {'by rule':24} attempts"]
    pairs = Counter((each.primary, each.failure.primary) for each in of)
    for (mine, theirs), count in sorted(pairs.items()):
        names = (
            ""
            if mine == theirs
            else "  "
            + ", ".join(each.name for each in of if (each.primary, each.failure.primary) == (mine, theirs))
        )
        lines.append(f"{mine:24} {theirs if mine != theirs else '=':24} {count:4}{names}")
    return lines


def keep(run: Path, task: str, number: int, name: str, tasks: Path) -> None:
    """Keep an attempt, without the rules' verdict."""
    source, target = attempt_folder(run, task, number), FOLDER / name
    target.mkdir(parents=True, exist_ok=True)
    result = json.loads((source / "result.json").read_text())
    result.pop("failure", None)
    (target / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    said = load_task(tasks / task).bridle
    facts = {"locations": said.locations, "regression": said.regression}
    (target / "facts.json").write_text(json.dumps(facts, indent=1) + "\n")
    if (source / "journal.jsonl").is_file():
        packed = gzip.compress((source / "journal.jsonl").read_bytes(), mtime=0)
        (target / "journal.jsonl.gz").write_bytes(packed)
    patch = source / "patch.diff"
    if patch.is_file() and 0 < patch.stat().st_size < 20_000:
        (target / "patch.diff").write_bytes(patch.read_bytes())


def show(name: str) -> list[str]:
    """A kept attempt for a person to read: what happened, what was changed, how the tests came out."""
    folder = FOLDER / name
    result, case = case_of(folder)
    lines = [f"== {name}: {result.task}, {result.status}, {result.outcome.value}: {result.detail}"]
    if not any(event.type == "session.started" for event in case.events):
        lines.append("(no journal)")
    for number, event in enumerate(case.events, 1):
        lines += [f"{number:4} {line}" for line in _words(event)]
    if (folder / "patch.diff").is_file():
        lines += [
            f"   | {line}" for line in (folder / "patch.diff").read_text(errors="replace").splitlines()[4:30]
        ]
    if result.grade is not None:
        grade = result.grade
        lines.append(f"graded: {grade.verdict} {grade.detail}; ending {grade.ending}; touched {grade.touched}")
        lines.append(f"put back {grade.put_back}; a solution changes {case.locations}; doubts {result.doubts}")
        lines += [f"   {each.result:8} {each.id} {each.message[:150]!r}" for each in grade.tests]
        lines += [f"   {flag.name} {flag.where}" for flag in grade.flags]
    return lines


def _words(event: AnyEvent) -> list[str]:
    said = event.model_dump(mode="json")
    kind = event.type
    if kind == "model.replied":
        calls = [f"{each['name']} {each['arguments'][:300]}" for each in said["calls"]]
        return [f"says {said['text'][:500]!r} ({said['finish']}) calls {calls}"]
    if kind == "call.finished":
        text = said["text"] if len(said["text"]) < 500 else said["text"][:200] + " … " + said["text"][-250:]
        return [f"{'ok' if said['ok'] else 'NOT OK'} {said['tool']} {text!r}"]
    if kind == "gate.decided" and said["verdict"] == "deny":
        return [f"denied {said['tool']}: {said['cause']}: {said['reason']}"]
    if kind == "check.run":
        return [f"check fresh={said['fresh']} passed={said['passed']} {said['output'][-400:]!r}"]
    if kind == "message" and said["role"] == "user":
        return [f"{said['by']}: {said['text'][:300]!r}"]
    if kind in ("repair.attempted", "patch.taken", "session.ended"):
        return [f"{kind} { {key: value for key, value in said.items() if key not in ('type', 'time')} }"]
    return []


def main() -> None:
    what, *rest = sys.argv[1:] or ["report"]
    if what == "keep":
        keep(Path(rest[0]), rest[1], int(rest[2]), rest[3], Path(rest[4]))
    else:
        print("\n".join(report() if what == "report" else [line for name in rest for line in show(name)]))


if __name__ == "__main__":
    main()
