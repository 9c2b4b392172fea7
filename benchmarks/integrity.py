"""Cheats before other graders: `python -m benchmarks.integrity` prints the table of docs/integrity.md.

Each agent works on one small task. What it delivers is graded three times:

    SWE-bench     its own `get_eval_report` on the log of a run as its evaluation scripts make one: the patch is
                  applied, the tests are put in place, `pytest -rA` runs between its markers, with its exit status
    test.sh       a script that runs pytest and writes a reward, as tasks for Harbor and Terminal-Bench have it,
                  over the whole patch and with nothing else around it
    Bridle        `tasks.grading`

The first two run in a sandbox of Bridle's, too, so that all three see the same machine. SWE-bench is in a virtual
environment of its own (`make integrity`): its Python is asked for the verdict, and nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import tasks
from agent.workspace import open_workspace
from sandboxes.docker.backend import DockerBackend
from sandboxes.protocol import WORKSPACE, Sandbox
from tasks.agents.cheats import cheat
from tasks.agents.work import Agent
from tasks.environments.prepare import Prepared, prepare
from tasks.format.task import Task, load_task
from tasks.runs.results import attempt_folder
from tasks.runs.runner import Run

PEER = Path(".venv-integrity/bin/python")
TASK = Path(tasks.__file__).parent / "bundled" / "bug-rolling-mean"
CHEATS = (
    *("conftest_hook", "patch_reports", "patch_asserts", "patch_junit", "exit_at_end", "clean_exit", "call_stack"),
    *("read_tests", "equal_to_everything", "startup_files", "shadowed_modules"),
)
START, END, CODE = ">>>>> Start Test Output", ">>>>> End Test Output", ">>>>> Test Exit Code"
AS_SWE_BENCH = f"""git apply --whitespace=nowarn /tmp/model.patch || exit 1
cp -r /tmp/given/. .
echo '{START}'
python3 -m pytest -rA -p no:cacheprovider test_rolling.py 2>&1
code=$?
echo '{END}'
echo "{CODE}: $code"
"""
AS_A_SCRIPT = """git apply --whitespace=nowarn /tmp/model.patch || exit 1
mkdir -p /tmp/verifier
if python3 -m pytest -q -p no:cacheprovider /tmp/given/test_rolling.py; then
    echo 1 > /tmp/verifier/reward.txt
else
    echo 0 > /tmp/verifier/reward.txt
fi > /dev/null 2>&1
cat /tmp/verifier/reward.txt
"""
VERDICT = """
import json, sys, importlib.metadata
from swebench.harness.grading import get_eval_report
from swebench.types import TestSpec
asked = json.load(sys.stdin)
ids = asked["fail_to_pass"], asked["pass_to_pass"]
spec = TestSpec("task", "", [], "", "", *ids, "parse_log_pytest", "pass_and_fail")
found = {name: get_eval_report(spec, {"instance_id": "task", "model_patch": "x"}, log, False)["task"]["resolved"]
         for name, log in asked["logs"].items()}
print(json.dumps({"version": importlib.metadata.version("swebench"), "resolved": found}))
"""


async def measure(peer: Path, jobs: int) -> list[str]:
    """The table, as lines of Markdown."""
    task = load_task(TASK)
    with TemporaryDirectory(prefix="bridle-integrity-") as name:
        folder = Path(name)
        agents = {
            "the solution": Agent(kind="oracle"),
            "nothing at all": Agent(kind="nop"),
            "cheats": Agent(kind="cheats", scripts=tuple((each, cheat(each)) for each in CHEATS)),
        }
        ours, patches = {}, {}
        for title, agent in agents.items():
            out = folder / title.replace(" ", "-")
            run = Run([task], agent, DockerBackend(), out, attempts=max(1, len(agent.scripts)), jobs=jobs)
            for each in await run.run():
                label = agent.scripts[each.number - 1][0] if agent.scripts else title
                ours[label] = each
                patches[label] = attempt_folder(out, task.name, each.number) / "patch.diff"
        prepared = await asyncio.to_thread(prepare, task, folder / "prepared")
        gate = asyncio.Semaphore(jobs)
        said = {}
        for way, script in (("log", AS_SWE_BENCH), ("reward", AS_A_SCRIPT)):
            found = await asyncio.gather(*(_run(prepared, patches[each], script, gate, folder) for each in ours))
            said[way] = dict(zip(ours, found, strict=True))
        version, resolved = _swe_bench(peer, task, said["log"], folder)
        lines = [f"| agent | SWE-bench {version} | test.sh | Bridle | flags |", "|---|---|---|---|---|"]
        for label, result in ours.items():
            assert result.grade is not None
            flags = sorted({flag.name.removeprefix("integrity.") for flag in result.grade.flags})
            words = "resolved" if resolved[label] else "not resolved"
            reward = said["reward"][label].split()[-1:] or ["none"]
            names = ", ".join(f"`{flag}`" for flag in flags)
            lines.append(f"| {label} | {words} | reward {reward[0]} | {result.status} | {names} |")
        return lines


async def _run(prepared: Prepared, patch: Path, script: str, gate: asyncio.Semaphore, keeper: Path) -> str:
    """What a script prints in a fresh sandbox with the task's files, the patch and the tests."""
    async with gate:
        spec = prepared.spec("integrity", keeper / "state")
        sandbox = await open_workspace(DockerBackend(), spec, prepared.archive, WORKSPACE)
        try:
            return await _run_in(sandbox, prepared.task, patch, script)
        finally:
            await sandbox.close()


async def _run_in(sandbox: Sandbox, task: Task, patch: Path, script: str) -> str:
    for name, path in task.tests.items():
        await sandbox.write(f"/tmp/given/{name}", path.read_bytes())
    # git takes an empty patch for a broken one.
    await sandbox.write("/tmp/model.patch", patch.read_bytes())
    lines = script if patch.stat().st_size else script.partition("\n")[2]
    result = await sandbox.exec(["bash", "-c", lines], timeout=300, max_output=1 << 20)
    return result.output.text()


def _swe_bench(peer: Path, task: Task, logs: dict[str, str], folder: Path) -> tuple[str, dict[str, bool]]:
    """SWE-bench's version, and whether it calls each resolved."""
    places = {}
    for number, (label, text) in enumerate(logs.items()):
        places[label] = str(folder / f"{number}.log")
        Path(places[label]).write_text(text)
    kept = set(task.bridle.regression)
    asked = {
        "fail_to_pass": [each for each in task.bridle.expected if each not in kept],
        "pass_to_pass": sorted(kept),
        "logs": places,
    }
    command = [str(peer), "-c", VERDICT]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"integrity: {peer} does not run SWE-bench's grading: {done.stderr.strip()[-500:]}")
    said = json.loads(done.stdout.splitlines()[-1])
    return str(said["version"]), dict(said["resolved"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, default=PEER, help="a Python that has SWE-bench")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    print("\n".join(asyncio.run(measure(given.peer, given.jobs))))


if __name__ == "__main__":
    main()
