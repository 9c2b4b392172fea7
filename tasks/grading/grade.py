"""Grading: the patch, in fresh sandboxes that never ran the agent, judged on the host.

    patch → tree with the task's own tests and configuration → fresh sandbox, no network → results → verdict

With `[bridle] expected`, pytest runs the tests and their twins (`by_ids`). Otherwise the task's test.sh writes a
reward (`by_reward`).

Threat model: the patch is the agent's, and its code runs in these sandboxes, beside the tests and for pytest in
their process. What it did before does not come here: no process, no file outside the patch, nothing protected.
What it does here is treated in the two modules: what it cannot reach, and how what it forges is found out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from tempfile import TemporaryDirectory

from agent.repository.stream import PatchProblem
from agent.workspace import open_workspace
from sandboxes.protocol import WORKSPACE, Backend, Sandbox
from tasks.environments import outside
from tasks.environments.prepare import Prepared
from tasks.grading.by_ids import by_ids
from tasks.grading.by_reward import by_reward
from tasks.grading.delivery import Delivery, write_tree
from tasks.grading.integrity import Flag
from tasks.grading.verdict import Grade, GraderAttacked, GraderProblem, Verdict

__all__ = ["Grade", "GraderProblem", "Verdict", "grade"]


async def grade(prepared: Prepared, patch: Path, backend: Backend, keeper: Path) -> Grade:
    """Grade a patch. Raises GraderProblem, SandboxError: then it is not scored."""
    with TemporaryDirectory(prefix="bridle-grade-") as name:
        folder = Path(name)
        tree = folder / "tree.tar"
        try:
            delivery = await asyncio.to_thread(write_tree, prepared, patch, tree)
        except PatchProblem as error:
            return Grade(verdict="fail", reward=0.0, applied=False, detail=str(error))

        async def open_box(files: Path = tree) -> Sandbox:
            spec = prepared.spec("suite.grade", keeper, "verifier")
            box = await open_workspace(backend, spec, files, WORKSPACE)
            try:
                await outside.fill(prepared, box, patch.with_name("outside.tar") if files == tree else None)
            except BaseException:
                await box.close()
                raise
            return box

        def open_base() -> Awaitable[Sandbox]:
            return open_box(prepared.archive)

        try:
            if prepared.task.bridle.expected:
                found = await by_ids(prepared, open_box, open_base, folder, delivery.sources)
            else:
                found = await by_reward(prepared, open_box, open_base, folder)
        except GraderAttacked as error:
            flag = Flag(name="integrity.grader_attacked", where=f"the sandbox breaks under the tests: {error}")
            found = Grade(verdict="fail", reward=0.0, flags=(flag,), detail=flag.where)
    return _with(found, delivery, _forbidden(prepared, delivery))


def _with(found: Grade, delivery: Delivery, forbidden: list[Flag]) -> Grade:
    verdict: Verdict = "fail" if forbidden else found.verdict
    return found.model_copy(
        update={
            "verdict": verdict,
            "reward": 0.0 if forbidden else found.reward,
            "detail": f"forbidden: {forbidden[0].where}" if forbidden else found.detail,
            "flags": (*delivery.flags, *found.flags, *forbidden),
            "put_back": delivery.put_back,
            "touched": tuple(each.path for each in delivery.touched),
        }
    )


def _forbidden(prepared: Prepared, delivery: Delivery) -> list[Flag]:
    """What of the delivery the task forbids."""
    from pathspec import GitIgnoreSpec

    said = prepared.task.bridle.forbidden
    paths = GitIgnoreSpec.from_lines(said.paths)
    found = [
        Flag(name="safety.forbidden", where=each.path) for each in delivery.touched if paths.match_file(each.path)
    ]
    for each in delivery.touched:
        new = [text for text in said.text if text in each.text and text not in each.base_text]
        found += [Flag(name="safety.forbidden", where=f"{each.path} holds {text!r}") for text in new]
    return found
