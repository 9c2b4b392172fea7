"""Grading by a reward: the task's own test.sh writes it, as Harbor has it.

    test.sh on the tree → a reward that passes?
        → twice more, in fresh sandboxes, each time with one Python test turned round: the reward has to be less
        → once for each task, test.sh on the task's own files: it must not pass either

Threat model: test.sh runs as the agent's user, since it has to write the reward and starts the agent's code. It,
and all of /tests, cannot be changed by that user; the folder for the reward is new in each sandbox. What the code
under test writes there itself, it writes in the further runs as well, and is caught, and so is what looks up in a
test what that expects. Where a task has no Python tests there are no further runs, and such a task trusts the code
under test not to know the folder. Refused is a reward that is a link or cannot be written any more, and one that a
process may have written after the end.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from sandboxes.protocol import ExecResult, FileError, Sandbox
from tasks.environments.prepare import Prepared
from tasks.format.task import Task
from tasks.grading.integrity import Flag
from tasks.grading.kit import Turned, pack_for_script
from tasks.grading.left import find_python, left
from tasks.grading.twins import named_tests, with_values
from tasks.grading.verdict import Grade, GraderProblem, Open

MAX_OUTPUT = 16384
CONTROLS = 2
"""How many tests are turned round, one after the other, before a reward is believed."""
REWARDS = "/logs/verifier"
_RUNS_TESTS = re.compile(r"\bpy\.?test\b|\bunittest\b|\btest_\w+\.py\b|\b\w+_test\.py\b")
_CLOSED = 'for f; do if [ -L "$f" ] || { [ -e "$f" ] && [ ! -w "$f" ]; }; then echo "$f"; fi; done'
"""Says which of its arguments are links, or could not be written."""
_SIGNAL = 128


class _Ran(NamedTuple):
    rewards: Mapping[str, float]
    flags: tuple[Flag, ...]
    result: ExecResult
    key: str | None
    least: float

    @property
    def reward(self) -> float:
        """The one that decides: the task's choice, else `reward`, else the mean."""
        said = self.rewards
        if self.key is not None:
            return said.get(self.key, 0.0)
        return said.get("reward", sum(said.values()) / len(said) if said else 0.0)

    @property
    def good(self) -> bool:
        whole = bool(self.rewards) and self.reward >= self.least
        code = self.result.exit_code
        return whole and not self.flags and self.result.ending == "exited" and (code or 0) < _SIGNAL


async def by_reward(prepared: Prepared, open_box: Open, open_base: Open, folder: Path) -> Grade:
    """Grade what is in the sandboxes that `open_box` opens; `open_base` opens them with the task's own files.

    Raises GraderProblem, SandboxError.
    """
    ran = await _run(prepared, open_box, folder, {})
    flags = list(ran.flags)
    if ran.good:
        await _base_fails(prepared, open_base, folder)
        for chosen in controls(prepared.task):
            control = await _run(prepared, open_box, folder, chosen)
            if control.result.ending != "exited":
                raise GraderProblem(
                    f"test.sh of {prepared.task.name} does not end in time with a test turned round"
                )
            if control.rewards and control.reward >= ran.reward:
                where = f"test.sh says the same with {'; '.join(map(_named, chosen.items()))} turned round"
                flags.append(Flag(name="integrity.results_forged", where=where))
                break
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
    tests = {name: found for name in named or sources if (found := named_tests(sources[name]))}
    plain = [(name, each) for name in sorted(tests) for each in sorted(with_values(sources[name]))]
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
        if (await _run(prepared, open_base, folder, {})).good:
            raise GraderProblem(f"the test.sh of {prepared.task.name} passes on the task's own files")
        known.touch()


async def _run(prepared: Prepared, open_box: Open, folder: Path, chosen: Turned) -> _Ran:
    sandbox = await open_box()
    try:
        return await _run_in(sandbox, prepared, folder, chosen)
    finally:
        await sandbox.close()


async def _run_in(sandbox: Sandbox, prepared: Prepared, folder: Path, chosen: Turned) -> _Ran:
    kit, logs = folder / "kit.tar", folder / "logs.tar"
    await asyncio.to_thread(pack_for_script, prepared.task, kit, chosen)
    _pack_logs(logs)
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
    return _Ran(await _rewards(sandbox), tuple(flags), result, said.reward, said.pass_reward)


def _pack_logs(target: Path) -> None:
    """A tar with the folder for the reward, which did not exist before."""
    with tarfile.open(target, "w") as tar:
        logs = tarfile.TarInfo(REWARDS.lstrip("/"))
        logs.type, logs.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(logs)


async def _rewards(sandbox: Sandbox) -> dict[str, float]:
    """What the folder says, reward.json before reward.txt; nothing when that is no number or several."""
    for name in ("reward.json", "reward.txt"):
        try:
            text = (await sandbox.read(f"{REWARDS}/{name}", max_bytes=65536)).decode("utf-8", "replace")
        except FileError:
            continue
        try:
            said = json.loads(text)
            items = said.items() if isinstance(said, dict) else [("reward", said)]
            found = {str(key): float(value) for key, value in items if isinstance(value, int | float)}
        except (ValueError, RecursionError, OverflowError):
            return {}
        return found if all(map(math.isfinite, found.values())) else {}
    return {}
