"""Grading by a reward: the task's own test.sh writes it, as Harbor has it.

    test.sh on the tree → a reward that passes?
        → twice more, in fresh sandboxes, each time with one Python test turned round: the reward has to be less
        → or, where there is none, once more with a test.sh that writes its reward elsewhere: there has to be none
        → once for each task, test.sh on the task's own files: it must not pass either

Threat model: test.sh runs as the agent's user, since it has to write the reward and starts the agent's code. It,
and all of /tests, cannot be changed by that user; the folder for the reward is new in each sandbox. What the code
under test writes there itself, it writes in the further runs as well, and is caught, and so is what looks up in a
test what that expects. Where a task has no Python tests, code that reads in test.sh where the reward goes is not
caught. Refused is a reward that is no file, is a link or cannot be written any more, one beside another that says
something else, and one that a process may have written after the end.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
import secrets
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sandboxes.protocol import ExecResult, FileError, Sandbox
from tasks.environments.prepare import Prepared
from tasks.format.task import Task
from tasks.grading.fresh import in_fresh, withstood
from tasks.grading.integrity import Flag
from tasks.grading.kit import REWARDS, Turned, pack_for_script
from tasks.grading.left import find_python, left
from tasks.grading.twins import named_tests, strengths
from tasks.grading.verdict import Grade, GraderProblem, Open

MAX_OUTPUT = 16384
CONTROLS = 2
"""How many tests are turned round, one after the other, before a reward is believed."""
_RUNS_TESTS = re.compile(r"\bpy\.?test\b|\bunittest\b|\btest_\w+\.py\b|\b\w+_test\.py\b")
_CLOSED = """
refused() { [ -L "$1" ] || { [ -e "$1" ] && { [ ! -w "$1" ] || [ ! $2 "$1" ]; }; }; }
if refused "$1" -d; then echo "$1"; fi; shift
for f; do if refused "$f" -f; then echo "$f"; fi; done
"""
"""Says which of its arguments, a folder and files, are links, something else, or could not be written."""
_SAME = 1e-3
_SIGNAL = 128


class _Ran(NamedTuple):
    rewards: Mapping[str, float]
    flags: tuple[Flag, ...]
    result: ExecResult
    key: str | None
    least: float

    @property
    def reward(self) -> float:
        """The one that decides."""
        return _deciding(self.rewards, self.key)

    @property
    def good(self) -> bool:
        whole = bool(self.rewards) and self.reward >= self.least
        code = self.result.exit_code
        return whole and not self.flags and self.result.ending == "exited" and (code or 0) < _SIGNAL


async def by_reward(prepared: Prepared, open_box: Open, open_base: Open, folder: Path) -> Grade:
    """Grade what is in the sandboxes that `open_box` opens; `open_base` opens them with the task's own files.

    Raises GraderProblem, GraderAttacked, SandboxError.
    """
    ran = await withstood(open_box, open_base, partial(_run, prepared, folder, {}))
    flags = list(ran.flags)
    if ran.good:
        await _base_fails(prepared, open_base, folder)
        flags += await _cannot_fall(prepared, open_box, open_base, folder, ran)
    good = ran.good and not flags
    return Grade(
        verdict="pass" if good else "fail",
        reward=0.0 if flags else ran.reward,
        rewards=dict(ran.rewards),
        flags=tuple(flags),
        ending=ran.result.ending,
        detail=f"reward {ran.reward:g}" if ran.rewards else "test.sh left no reward",
        output=ran.result.output.text()[-MAX_OUTPUT:],
    )


async def _cannot_fall(prepared: Prepared, open_box: Open, open_base: Open, folder: Path, ran: _Ran) -> list[Flag]:
    """A flag when the reward is there as well where test.sh cannot have written it."""
    turned = controls(prepared.task)
    for chosen in turned:
        control = await withstood(open_box, open_base, partial(_run, prepared, folder, chosen))
        if control.rewards and control.reward >= ran.reward:
            where = f"test.sh says the same with {'; '.join(map(_named, chosen.items()))} turned round"
            return [Flag(name="integrity.results_forged", where=where)]
    if not turned and _names_the_folder(prepared.task):
        place = f"/logs/{secrets.token_hex(8)}"
        control = await withstood(open_box, open_base, partial(_run, prepared, folder, {}, place=place))
        if control.rewards:
            return [Flag(name="integrity.reward_forged", where="a reward that test.sh did not write")]
    return []


def _names_the_folder(task: Task) -> bool:
    """Do the tests have the folder for rewards by its name, so that they can be given another one?"""
    texts = [path.read_bytes() for path in task.tests.values()]
    name, others = REWARDS.encode(), b" ".join(each.encode() for each in task.file.verifier.env.values())
    rest = b" ".join(each.replace(name, b"") for each in (*texts, others))
    return any(name in each for each in texts) and b"verifier" not in rest


def controls(task: Task) -> list[Turned]:
    """What is turned round in each of the further runs: two of the Python tests, drawn anew, one at a time.

    Of those that the task's test.sh runs, as far as can be told; where a plain value is compared, if there is such
    a test, and else all of them at once. Nothing when it runs none.
    """
    files = task.tests
    script = files["test.sh"].read_text("utf-8", "replace") if "test.sh" in files else ""
    if not _RUNS_TESTS.search(script):
        return []
    sources = {name: path.read_text("utf-8", "replace") for name, path in files.items() if name.endswith(".py")}
    named = {name for name in sources if name.rpartition("/")[2] in script}
    strong = {name: strengths(sources[name]) for name in named or sources}
    tests = {name: found for name in strong if (found := named_tests(sources[name]).intersection(strong[name]))}
    plain = [
        (name, each) for name in sorted(tests) for each in sorted(tests[name]) if strong[name][each] == "value"
    ]
    if plain:
        drawn = random.SystemRandom().sample(plain, min(CONTROLS, len(plain)))
        return [{name: frozenset({each})} for name, each in drawn]
    return [tests] if tests else []


def _named(item: tuple[str, frozenset[str]]) -> str:
    return f"{', '.join(sorted(item[1]))} of {item[0]}"


async def _base_fails(prepared: Prepared, open_base: Open, folder: Path) -> None:
    """Make sure, once for each task of a run, that test.sh does not pass by itself. Raises GraderProblem."""
    known = prepared.archive.with_name("base-fails")
    if not known.exists():
        if (await in_fresh(open_base, partial(_run, prepared, folder, {}))).good:
            raise GraderProblem(f"the test.sh of {prepared.task.name} passes on the task's own files")
        known.touch()


async def _run(
    prepared: Prepared, folder: Path, chosen: Turned, sandbox: Sandbox, *, place: str = REWARDS
) -> _Ran:
    """test.sh with the functions `chosen` turned round, which writes its reward to `place`."""
    kit, logs = folder / "kit.tar", folder / "logs.tar"
    await asyncio.to_thread(pack_for_script, prepared.task, kit, chosen, place)
    _pack_logs(logs, {REWARDS, place})
    try:
        await sandbox.upload(logs, "/")
    except FileError as error:
        raise GraderProblem(
            "a task with a test.sh needs /logs, which bubblewrap has no room for: use Docker"
        ) from error
    await sandbox.give(kit)
    table = prepared.task.file.verifier
    command, cwd = [sandbox.shell, "/tests/test.sh"], prepared.workdir
    env = prepared.allowed.filled(f"{prepared.task.folder / 'task.toml'}: verifier.env", table.env)
    result = await sandbox.exec(command, cwd=cwd, env=env, timeout=table.timeout_sec, max_output=MAX_OUTPUT)
    flags = await left(sandbox, await find_python(sandbox))
    paths = [REWARDS, f"{REWARDS}/reward.txt", f"{REWARDS}/reward.json"]
    closed = await sandbox.exec(["sh", "-c", _CLOSED, "sh", *paths], cwd="/")
    flags += [Flag(name="integrity.reward_forged", where=line) for line in closed.output.text().splitlines()]
    said = prepared.task.bridle
    found = await _rewards(sandbox)
    if _differ(list(found.values()), said.reward):
        flags.append(Flag(name="integrity.reward_forged", where=f"{' and '.join(found)} say different things"))
    return _Ran(next(iter(found.values()), {}), tuple(flags), result, said.reward, said.pass_reward)


def _pack_logs(target: Path, folders: Iterable[str]) -> None:
    """A tar with folders for the reward, which did not exist before."""
    with tarfile.open(target, "w") as tar:
        for each in sorted(folders):
            logs = tarfile.TarInfo(each.lstrip("/"))
            logs.type, logs.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(logs)


async def _rewards(sandbox: Sandbox) -> dict[str, Mapping[str, float]]:
    """What each of the files says that are there, reward.json first."""
    found: dict[str, Mapping[str, float]] = {}
    for name in ("reward.json", "reward.txt"):
        try:
            data = await sandbox.read(f"{REWARDS}/{name}", max_bytes=65536)
        except FileError as error:
            if error.problem != "not_found":
                found[name] = {}
        else:
            found[name] = _numbers(data.decode("utf-8", "replace"))
    return found


def _numbers(text: str) -> dict[str, float]:
    """The rewards of a file; nothing when it says no number, nor several."""
    try:
        said = json.loads(text)
        items = said.items() if isinstance(said, dict) else [("reward", said)]
        found = {str(key): float(value) for key, value in items if isinstance(value, int | float)}
    except (ValueError, RecursionError, OverflowError):
        return {}
    return found if all(map(math.isfinite, found.values())) else {}


def _deciding(said: Mapping[str, float], key: str | None) -> float:
    """The task's choice, else `reward`, else the mean."""
    if key is not None:
        return said.get(key, 0.0)
    return said.get("reward", sum(said.values()) / len(said) if said else 0.0)


def _differ(said: Sequence[Mapping[str, float]], key: str | None) -> bool:
    """Do several files say different things of what decides, as far as each speaks of it?"""
    if len(said) < 2:
        return False
    if not all(said):
        return True
    speak = [_deciding(each, key) for each in said if key is None or key in each]
    return max(speak, default=0.0) - min(speak, default=0.0) > _SAME
