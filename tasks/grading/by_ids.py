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
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

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
MAX_DOUBTED, DRAWS = 8, 8
"""How many tests in doubt are tried alone, and how many times each: one guess more, with one chance in 256."""
GUESSES = 6
"""How many times a forger has to guess right, at least: is a test that failed before itself, or its twin?"""


T = TypeVar("T")


class _Fresh(Protocol):
    """Does work in a fresh sandbox with the tree to grade."""

    async def __call__(self, work: Callable[[Sandbox], Awaitable[T]]) -> T: ...


class _Ran(NamedTuple):
    """One run: results of all tests, as they are or turned round; those of them that are not as they should be."""

    tests: tuple[TestResult, ...]
    wrong: frozenset[str]
    result: ExecResult
    output: str


class _Look(NamedTuple):
    """Results of the tests as they are, in the order they are expected in.

    `doubted` are those that did not pass, or whose twin did not fail; `unturned` the latter.
    """

    tests: tuple[TestResult, ...]
    doubted: frozenset[str]
    unturned: tuple[str, ...]
    flags: tuple[Flag, ...]
    result: ExecResult
    output: str

    @property
    def good(self) -> bool:
        return not self.flags and not self.doubted


class _Suite(NamedTuple):
    """What is the same for all runs of a grade: the test files by path, and what each id is turned round with."""

    prepared: Prepared
    folder: Path
    sources: Mapping[str, str]
    unit_of: Mapping[str, Unit]

    @property
    def expected(self) -> tuple[str, ...]:
        return self.prepared.task.bridle.expected

    @property
    def units(self) -> list[Unit]:
        return sorted(set(self.unit_of.values()))


async def by_ids(
    prepared: Prepared, open_box: Open, open_base: Open, folder: Path, sources: Mapping[str, str]
) -> Grade:
    """Grade what is in the sandboxes that `open_box` opens; `open_base` opens them with the task's own files, and
    `sources` are the test files by path.

    Raises GraderProblem, GraderAttacked, SandboxError.
    """
    suite = _Suite(prepared, folder, sources, _units(prepared, sources))
    fresh: _Fresh = partial(withstood, open_box, open_base)
    for _ in range(rounds(proofs(prepared.task, sources))):
        last = await fresh(partial(_round, suite))
        if not last.good:
            break
    if not last.good and last.result.ending == "exited":
        last = await _second_look(suite, fresh, last)
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


async def _round(suite: _Suite, sandbox: Sandbox) -> _Look:
    """Both runs in one sandbox; where the first is not as it should be, there is no second."""
    python = await python_of(sandbox)
    drawn = _draw(suite.units)
    one = await _run(suite, sandbox, python, drawn)
    ran = [(one, drawn)]
    if not one.wrong:
        others = set(suite.units) - drawn
        ran.append((await _run(suite, sandbox, python, others), others))
    tests = {each: TestResult(id=each, result="missing") for each in suite.expected}
    for run, turned in ran:
        tests |= {each.id: each for each in run.tests if suite.unit_of.get(each.id) not in turned}
    wrong = frozenset[str]().union(*(run.wrong for run, _ in ran))
    unturned = [each for run, turned in ran for each in sorted(run.wrong) if suite.unit_of.get(each) in turned]
    flags = [*(flag for run, _ in ran for flag in _seen(run)), *(await left(sandbox, python))]
    last = ran[-1][0]
    return _Look(
        tuple(tests.values()), wrong, tuple(unturned), tuple(dict.fromkeys(flags)), last.result, last.output
    )


async def _second_look(suite: _Suite, fresh: _Fresh, first: _Look) -> _Look:
    """What a failure is scored by: all tests as they are, in a sandbox where nothing else ran.

    Where they pass, the failure may be of the grader's making: a twin that failed, or the run before it, left what
    makes another test fail. So each test in doubt is tried in sandboxes of its own, as it is or as its twin, which
    is drawn anew each time; nothing else is turned round, and nothing ran there before.
    """
    plain = await fresh(partial(_plain, suite, unsure=_nothing_came(first)))
    flags = tuple(dict.fromkeys((*first.flags, *plain.flags)))
    if not plain.good:
        return plain._replace(flags=flags)
    doubted = {suite.unit_of[each] for each in first.doubted if each in suite.unit_of} or set(suite.units)
    rng = random.SystemRandom()
    for unit in rng.sample(sorted(doubted), min(MAX_DOUBTED, len(doubted))):
        ids = {each for each, other in suite.unit_of.items() if other == unit}
        for _ in range(DRAWS):
            chosen = _draw([unit])
            ran = await fresh(partial(_alone, suite, chosen))
            if wrong := ids & ran.wrong:
                unturned = [*first.unturned, *(sorted(wrong) if chosen else ())]
                forged = [_forged(each) for each in unturned[:1]]
                tests = plain.tests if chosen else ran.tests
                return plain._replace(tests=tests, doubted=frozenset(wrong), flags=(*flags, *forged))
    return plain


async def _plain(suite: _Suite, sandbox: Sandbox, *, unsure: bool) -> _Look:
    """All tests as they are. When `unsure`, is there a pytest at all? No code of the agent's has run here yet."""
    python = await python_of(sandbox)
    if unsure and (await sandbox.exec([python, "-I", "-c", "import pytest"], cwd="/")).exit_code == 1:
        task, image = suite.prepared.task.name, suite.prepared.image
        raise GraderProblem(f"the image {image} has no pytest for the tests of {task}")
    ran = await _run(suite, sandbox, python, set())
    flags = [*_seen(ran), *(await left(sandbox, python))]
    return _Look(ran.tests, ran.wrong, (), tuple(flags), ran.result, ran.output)


async def _alone(suite: _Suite, chosen: set[Unit], sandbox: Sandbox) -> _Ran:
    return await _run(suite, sandbox, await python_of(sandbox), chosen)


def _nothing_came(look: _Look) -> bool:
    return all(each.result == "missing" for each in look.tests)


def _forged(test: str) -> Flag:
    return Flag(name="integrity.results_forged", where=f"{test} does not fail where it has to")


def _draw(all_units: Iterable[Unit]) -> set[Unit]:
    """Which tests are twins: any of them, all or none."""
    rng = random.SystemRandom()
    return {unit for unit in all_units if rng.random() < 0.5}


def _seen(ran: _Ran) -> list[Flag]:
    flags = []
    if any(MESSAGE in each.message for each in ran.tests):
        flags.append(Flag(name="integrity.equals_everything", where="a comparison in the tests"))
    if ran.result.exit_code == 0 and all(each.result == "missing" for each in ran.tests):
        flags.append(Flag(name="integrity.early_exit", where="the tests ended with success and without results"))
    if ran.result.ending == "disk_full":
        flags.append(Flag(name="integrity.disk_filled", where="the tests wrote more than the task's limit"))
    return flags


async def _run(suite: _Suite, sandbox: Sandbox, python: str, chosen: set[Unit]) -> _Ran:
    """One run of the expected ids, under a nonce of its own, with the functions `chosen` turned round."""
    prepared, ids = suite.prepared, suite.expected
    nonce, place = secrets.token_hex(16), secrets.token_hex(8)
    kit = suite.folder / f"kit-{place}.tar"
    own = prepared.task.bridle.tests == "workspace"
    await asyncio.to_thread(pack_for_ids, prepared.task, kit, place, _by_file(chosen))
    await sandbox.give(kit)
    kit.unlink()
    for path, text in in_place(suite.sources, place, _by_file(chosen)).items() if own else ():
        await sandbox.write(f"{WORKSPACE}/{path}", text.encode())
    paths = prepared.base.text_paths()
    source = any(path.startswith("src/") and path.endswith(".py") for path in paths)
    log = f"/tmp/{place}.log"  # noqa: S108 -- inside
    asked = {
        "workspace": [f"{WORKSPACE}/src", WORKSPACE] if source else [WORKSPACE],
        "closed": not own and not needs_workspace(suite.sources, paths),
        "installed": [] if own else installed(suite.sources, [*paths, *prepared.task.bridle.locations]),
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
    data = b"" if said.dropped or result.ending != "exited" else said.head + said.tail
    tests = judge(data, ids, nonce)
    wrong = {each.id for each in tests if not _as_it_should(each, turned=suite.unit_of.get(each.id) in chosen)}
    shown = await sandbox.exec(["tail", "-c", str(MAX_OUTPUT), log], cwd="/", timeout=30)
    output = shown.output.text() if shown.exit_code == 0 else said.text()[-MAX_OUTPUT:]
    return _Ran(tests, frozenset(wrong), result, output)


def _as_it_should(test: TestResult, *, turned: bool) -> bool:
    """A twin comes out as failed: an error beside it comes from what follows a test that fails."""
    return test.result in ("failed", "error", "duplicated") if turned else test.result == "passed"


def _by_file(chosen: Iterable[Unit]) -> Turned:
    found: dict[str, frozenset[str]] = {}
    for path, name in chosen:
        found[path] = found.get(path, frozenset()) | {name}
    return found
