"""Grading by the ids that are expected: pytest, twice, each test once as it is and once as its twin.

    run A: some tests, and the twins of the others      run B: the others, and the twins of the first

Which is which is drawn here, for each grade. A pass is that every test passes and every twin fails: what forges
results has to guess for each test which of the two it has before it. Where few tests failed before the work there
are several rounds, each in a sandbox of its own, so that one knows nothing of another. A test that has no twin
runs in both as it is: it has to pass, and proves nothing.

Threat model: the code under test runs in pytest's process, as the agent's user, and reaches whatever that does.
The tests, their configuration and the runner lie where that user can change nothing. Results go over a pipe to
the sandbox's first process, which is another user's, and from there to the host as they are written: there is no
file of them. How the process ended is seen there, too. Tests that lie in the workspace (`tests = "workspace"`)
run there, with the repository's own configuration and plugins, in files that the user could change: what is
believed rests on their twins alone.
"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sandboxes.protocol import GIVEN, WORKSPACE, ExecResult, Sandbox
from tasks.environments.prepare import Prepared
from tasks.format.task import Task
from tasks.grading.fresh import withstood
from tasks.grading.imports import installed, needs_workspace
from tasks.grading.inside.strict_equality import MESSAGE
from tasks.grading.integrity import Flag
from tasks.grading.junit import TestResult, judge
from tasks.grading.kit import Turned, in_place, pack_for_ids
from tasks.grading.left import left, python_of
from tasks.grading.twins import Strength, Unit, strengths, units
from tasks.grading.verdict import Grade, GraderProblem, Open

MAX_RESULTS = 8 << 20
MAX_OUTPUT = 16384
GUESSES = 6
"""How many times a forger has to guess right, at least: is a test that failed before itself, or its twin?"""


class _Ran(NamedTuple):
    tests: tuple[TestResult, ...]
    result: ExecResult
    output: str


class _Round(NamedTuple):
    """Results of the tests as they are, in the order they are expected in; twins that did not fail."""

    tests: tuple[TestResult, ...]
    unturned: tuple[TestResult, ...]
    flags: tuple[Flag, ...]
    result: ExecResult
    output: str

    @property
    def good(self) -> bool:
        return not self.flags and not self.unturned and all(each.result == "passed" for each in self.tests)


async def by_ids(
    prepared: Prepared, open_box: Open, open_base: Open, folder: Path, sources: Mapping[str, str]
) -> Grade:
    """Grade what is in the sandboxes that `open_box` opens; `open_base` opens them with the task's own files, and
    `sources` are the test files by path.

    Raises GraderProblem, GraderAttacked, SandboxError.
    """
    unit_of = _units(prepared, sources)
    for _ in range(rounds(proofs(prepared.task, sources))):
        last = await withstood(
            open_box, open_base, lambda sandbox: _round(prepared, sandbox, folder, unit_of, sources)
        )
        if not last.good:
            break
    passed = sum(each.result == "passed" for each in last.tests)
    return Grade(
        verdict="pass" if last.good else "fail",
        reward=1.0 if last.good else 0.0,
        tests=last.tests,
        flags=last.flags,
        ending=last.result.ending,
        detail=f"{passed} of {len(last.tests)} expected tests passed",
        output=last.output,
    )


def _units(prepared: Prepared, sources: Mapping[str, str]) -> dict[str, Unit]:
    """For each expected id that has a twin what it is turned round with."""
    found = _defined(prepared.task.bridle.expected, sources)
    strong = {path: strengths(sources[path]) for path, _ in found.values()}
    return {each: (path, name) for each, (path, name) in found.items() if name in strong[path]}


def _defined(ids: Iterable[str], sources: Mapping[str, str]) -> dict[str, Unit]:
    by_file: dict[str, dict[str, str]] = {}
    for each in ids:
        path, _, name = each.partition("::")
        by_file.setdefault(path, {})[each] = name.partition("[")[0]
    found: dict[str, Unit] = {}
    for path, names in by_file.items():
        defined = units(path, names.values(), sources)
        found |= {each: defined[name] for each, name in names.items() if name in defined}
    return found


def proofs(task: Task, sources: Mapping[str, str]) -> dict[str, Strength | None]:
    """What the twin of each test that failed before the work is worth, one id for each function; None for no twin.

    Those that passed before prove nothing by failing when they are turned round: whoever does nothing passes them.
    """
    before = set(task.bridle.regression)
    ids = [each for each in task.bridle.expected if each not in before]
    found = _defined(ids, sources)
    strong = {path: strengths(sources[path]) for path, _ in found.values()}
    first = {found.get(each, (each, "")): each for each in reversed(ids)}
    return {each: strong.get(path, {}).get(name) for (path, name), each in first.items()}


def rounds(found: Mapping[str, Strength | None]) -> int:
    """How many rounds it takes that a blind guess has a chance of one in 64 at best."""
    of = Counter(found.values())
    telling = of["value"] or of["turned"]
    return -(-GUESSES // telling) if telling else 1


async def _round(
    prepared: Prepared, sandbox: Sandbox, folder: Path, unit_of: dict[str, Unit], sources: Mapping[str, str]
) -> _Round:
    """Both runs; where the first is not as it should be, the second only brings the tests that it left out."""
    expected, python = prepared.task.bridle.expected, await python_of(sandbox)
    drawn = _draw(set(unit_of.values()))
    twins_in_a = [each for each in expected if unit_of.get(each) in drawn]
    in_a = [each for each in expected if each not in set(twins_in_a)]
    one = await _run(prepared, sandbox, folder, python, sources, expected, drawn)
    of_one = {each.id: each for each in one.tests}
    as_wanted = all(of_one[each].result == "passed" for each in in_a) and not _unturned(of_one, twins_in_a)
    if as_wanted:
        two = await _run(prepared, sandbox, folder, python, sources, expected, set(unit_of.values()) - drawn)
    elif twins_in_a and one.result.ending == "exited":
        two = await _run(prepared, sandbox, folder, python, sources, twins_in_a, set())
    else:  # it was stopped: so would be the other
        two = _Ran(judge(b"", twins_in_a, ""), one.result, one.output)
    of_two = {each.id: each for each in two.tests}
    again = {each for each in in_a if each not in unit_of and as_wanted}
    tests = tuple(of_two[each] if each in again.union(twins_in_a) else of_one[each] for each in expected)
    twins_in_b = [each for each in in_a if each in unit_of] if as_wanted else []
    unturned = (*_unturned(of_one, twins_in_a), *_unturned(of_two, twins_in_b))
    broken = next((ran for ran in (one, two) if ran.result.ending != "exited"), None)
    shown = broken or next((ran for ran in (one, two) if any(t.result != "passed" for t in ran.tests)), two)
    flags = [*_seen(one), *_seen(two), *(await left(sandbox, python))]
    if unturned and all(each.result == "passed" for each in tests):
        flags.append(
            Flag(name="integrity.results_forged", where=f"{unturned[0].id} does not fail where it has to")
        )
    return _Round(tests, unturned, tuple(dict.fromkeys(flags)), shown.result, shown.output)


def _draw(all_units: set[Unit]) -> set[Unit]:
    """Which tests are twins in the first run: any of them, all or none."""
    rng = random.SystemRandom()
    return {unit for unit in sorted(all_units) if rng.random() < 0.5}


def _unturned(results: dict[str, TestResult], twins: Iterable[str]) -> tuple[TestResult, ...]:
    """Twins that did not come out as failed: an error beside it comes from what follows a test that fails."""
    return tuple(results[each] for each in twins if results[each].result not in ("failed", "error", "duplicated"))


def _seen(ran: _Ran) -> list[Flag]:
    flags = []
    if any(MESSAGE in each.message for each in ran.tests):
        flags.append(Flag(name="integrity.equals_everything", where="a comparison in the tests"))
    if ran.result.exit_code == 0 and all(each.result == "missing" for each in ran.tests):
        flags.append(Flag(name="integrity.early_exit", where="the tests ended with success and without results"))
    if ran.result.ending == "disk_full":
        flags.append(Flag(name="integrity.disk_filled", where="the tests wrote more than the task's limit"))
    return flags


async def _run(
    prepared: Prepared,
    sandbox: Sandbox,
    folder: Path,
    python: str,
    sources: Mapping[str, str],
    ids: Sequence[str],
    chosen: set[Unit],
) -> _Ran:
    """One run of ids, under a nonce of its own, with the functions `chosen` turned round."""
    nonce, place = secrets.token_hex(16), secrets.token_hex(8)
    kit = folder / f"kit-{place}.tar"
    own = prepared.task.bridle.tests == "workspace"
    await asyncio.to_thread(pack_for_ids, prepared.task, kit, place, _by_file(chosen))
    await sandbox.give(kit)
    kit.unlink()
    for path, text in in_place(sources, place, _by_file(chosen)).items() if own else ():
        await sandbox.write(f"{WORKSPACE}/{path}", text.encode())
    paths = prepared.base.text_paths()
    source = any(path.startswith("src/") and path.endswith(".py") for path in paths)
    log = f"/tmp/{place}.log"  # noqa: S108 -- inside
    asked = {
        "workspace": [f"{WORKSPACE}/src", WORKSPACE] if source else [WORKSPACE],
        "closed": not own and not needs_workspace(sources, paths),
        "installed": [] if own else installed(sources, [*paths, *prepared.task.bridle.locations]),
        "tests": f"{GIVEN}/{place}/tests",
        "ids": list(dict.fromkeys(each.split("::", 1)[0] for each in ids)) if own else list(ids),
        "own": own,
        "log": log,
        "nonce": nonce,
    }
    result = await sandbox.exec(
        [python, "-I", "-B", f"{GIVEN}/{place}/run_tests.py"],
        cwd="/",
        stdin=json.dumps(asked).encode(),
        timeout=prepared.task.file.verifier.timeout_sec,
        max_output=MAX_RESULTS,
    )
    said = result.output
    if result.exit_code == 1 and b"No module named 'pytest'" in said.head + said.tail:
        raise GraderProblem(f"the image {prepared.image} has no pytest for the tests of {prepared.task.name}")
    data = b"" if said.dropped or result.ending != "exited" else said.head + said.tail
    shown = await sandbox.exec(["tail", "-c", str(MAX_OUTPUT), log], cwd="/", timeout=30)
    output = shown.output.text() if shown.exit_code == 0 else said.text()[-MAX_OUTPUT:]
    return _Ran(judge(data, ids, nonce), result, output)


def _by_file(chosen: Iterable[Unit]) -> Turned:
    found: dict[str, frozenset[str]] = {}
    for path, name in chosen:
        found[path] = found.get(path, frozenset()) | {name}
    return found
