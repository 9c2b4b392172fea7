"""The host's end of running a project's tests: one sandbox for all versions of its files.

    write files → run tests → put back, inside; results by id, what failures saw, lines reached

Threat model: the project's code runs in the sandbox and can forge what is told here. It is bounded and parsed into
the types below, and decides only which tasks are tried: what a task is worth is proven by the grader afterwards.
"""

from __future__ import annotations

import io
import json
import secrets
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.checks import import_path
from agent.outcomes import UsageProblem
from agent.workspace import DEFAULT_IMAGE, open_workspace
from sandboxes.protocol import (
    AGENT_GID,
    AGENT_UID,
    WORKSPACE,
    Backend,
    FileError,
    Limits,
    Sandbox,
    SandboxLost,
    SandboxSpec,
)
from tasks.making.project import Project

MAX_RESULTS = 256 << 20
PLACE = "/tmp/bridle-making"  # noqa: S108 -- a path inside the sandbox, not on the host
_INSIDE = Path(__file__).parent / "inside"
Word = Annotated[str, Field(max_length=20_000)]


class Saw(BaseModel):
    """What one failing test saw. `strong` says that nothing of the test's own is needed to see it again.

    `steps` come before `expression`; `other` is the side it was compared with, `left` and `right` the values, and
    `where` the first difference of long ones: place, both parts, both lengths.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["compare", "truth", "not_raised", "error"]
    expression: Word
    plain: bool = False
    other: Word = ""
    other_plain: bool = False
    steps: tuple[Word, ...] = ()
    functions: tuple[Word, ...] = ()
    strong: bool = False
    operator: Word = ""
    left: Word = ""
    right: Word = ""
    where: tuple[int, Word, Word, int, int] | None = None
    wanted: bool = True
    error: Word = ""
    message: Word = ""
    raising: Word = ""


class Seen(BaseModel):
    """One test in one version: its result, how often it was there, and what it saw when it failed."""

    model_config = ConfigDict(frozen=True)

    result: Literal["passed", "failed", "error", "skipped"]
    saw: Saw | None = None
    seconds: float = 0.0
    times: int = 1


class Observed(BaseModel):
    """The tests of one version. `ending` says how it ended when not by itself.

    `lines` gives for each file and line the numbers of the tests that reach it, counted from 1 in the order of
    `tests`; 0 is the import.
    """

    model_config = ConfigDict(frozen=True)

    tests: dict[str, Seen] = {}
    problem: str = ""
    ending: str = ""
    seconds: float = 0.0
    lines: dict[str, dict[int, tuple[int, ...]]] = {}

    @property
    def failing(self) -> frozenset[str]:
        """The ids of tests that ran and did not pass."""
        return frozenset(each for each, seen in self.tests.items() if seen.result in ("failed", "error"))


class Version(BaseModel):
    """Files that differ from the project's, and the ids of the tests to run; none for all."""

    model_config = ConfigDict(frozen=True)

    files: dict[str, bytes] = {}
    ids: tuple[str, ...] = ()


@dataclass
class Lab:
    """Runs versions of a project in one sandbox. Use as a context manager; has to be opened by `open`."""

    project: Project
    backend: Backend
    select: Sequence[str] = ()
    image: str = DEFAULT_IMAGE
    _sandbox: Sandbox | None = field(default=None, init=False)

    @property
    def folders(self) -> list[str]:
        """The workspace's folders on sys.path."""
        return import_path(list(self.project.files)).split(":")

    async def open(self) -> None:
        """A fresh sandbox with the project and the tests. Raises SandboxError."""
        await self.close()
        with TemporaryDirectory(prefix="bridle-make-") as folder:
            tree, kit = Path(folder) / "tree.tar", Path(folder) / "kit.tar"
            pack(self.project.files, tree, self.project.executable)
            inside = {name: (_INSIDE / name).read_bytes() for name in ("observe.py", "bridle_tell.py")}
            pack({**inside, **{f"tests/{path}": data for path, data in self.project.kit.items()}}, kit)
            spec = SandboxSpec(
                run_id="suite.make",
                image=self.image,
                limits=Limits(memory_bytes=2 << 30, cpus=1.0),
            )
            self._sandbox = await open_workspace(self.backend, spec, tree, WORKSPACE)
            await self._sandbox.upload(kit, PLACE)

    async def close(self) -> None:
        """Close the sandbox, if there is one."""
        if self._sandbox is not None:
            await self._sandbox.close()
            self._sandbox = None

    async def run(
        self, versions: Sequence[Version], *, seconds: float, seed: int = 0, trace: bool = False
    ) -> list[Observed]:
        """Each version's tests, `seconds` for each. `seed` is that of Python's hashes. Raises SandboxError."""
        if self._sandbox is None:
            await self.open()
        assert self._sandbox is not None
        results = f"{PLACE}/results-{secrets.token_hex(8)}"  # an old one is never read for a new one
        asked = {
            "workspace": self.folders,
            "tests": f"{PLACE}/tests",
            "select": list(self.select),
            "versions": [_as_json(each) for each in versions],
            "seconds": seconds,
            "trace": trace,
            "results": results,
        }
        try:
            done = await self._sandbox.exec(
                ["python3", "-s", f"{PLACE}/observe.py"],
                stdin=json.dumps(asked).encode(),
                env={"PYTHONHASHSEED": str(seed)},
                timeout=60 + (seconds + 5) * len(versions),
                alone=True,
            )
            if b"No module named 'pytest'" in done.output.head:
                raise UsageProblem(
                    f"the sandbox of {self.image} has no pytest: activate an environment that has it"
                )
            data = await self._sandbox.read(results, max_bytes=MAX_RESULTS)
        except (SandboxLost, FileError):
            data = b""
        found = [_observed(line) for line in data.splitlines()]
        if len(found) < len(versions):  # something ended the runner: what it left changed is not to be trusted
            await self.open()
        return [*found, *[Observed(ending="killed")] * (len(versions) - len(found))][: len(versions)]


def pack(files: Mapping[str, bytes], target: Path, executable: frozenset[str] = frozenset()) -> None:
    """Write the files as a tar for a sandbox."""
    with tarfile.open(target, "w") as tar:
        for path, data in sorted(files.items()):
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), 0o755 if path in executable else 0o644
            member.uid, member.gid = AGENT_UID, AGENT_GID
            tar.addfile(member, io.BytesIO(data))


def _as_json(version: Version) -> dict[str, object]:
    files = {f"{WORKSPACE}/{path}": data.decode("latin-1") for path, data in version.files.items()}
    return {"files": files, "ids": list(version.ids)}


def _observed(line: bytes) -> Observed:
    try:
        found = Observed.model_validate_json(line)
    except ValidationError:
        return Observed(ending="killed", problem="its results cannot be read")
    prefix = f"{WORKSPACE}/"
    lines = {path.removeprefix(prefix): said for path, said in found.lines.items() if path.startswith(prefix)}
    return found.model_copy(update={"lines": lines})
