"""What a sandbox is: run a command, read and write files, take the workspace in and out, close.

Threat model: everything inside a sandbox belongs to the agent. Whatever comes back (output, file contents,
names, sizes, tar streams) is untrusted input to the host: bounded, parsed into the fixed types below and never
used as a class, a host path or a command.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from sandboxes.network.outside import Egress
from sandboxes.network.rules import Network

WORKSPACE = "/workspace"
"""Where the copy of the user's repository lies in every sandbox."""

GIVEN = "/tests"
"""Where `Sandbox.give` puts what commands may read and not change."""

SPILL_DIR = "/tmp/.bridle/output"  # noqa: S108 -- a path inside the sandbox, not on the host
"""Where the full text of long outputs is kept, inside, for the model to search."""

AGENT_UID = AGENT_GID = 1000
"""The user and group that commands run as, and that own the workspace, in every sandbox."""


KEPT_OUTPUT = 256 << 10
"""How many bytes of a background process's output can be read back; older ones are in its log."""

MAX_PROCESSES = 32
"""Background processes in one sandbox, ended ones included as long as there is room to remember them."""

MAX_INPUT = 1 << 20
"""The most bytes of input that wait for one background process to take them."""

OVERSHOOT = 1 << 30
"""Bytes that commands may have written beyond a disk limit before it was noticed."""

MAX_ARGV = 1000
"""The most characters of a background process's command that its description shows."""


class SandboxError(Exception):
    """Something about the sandbox went wrong; the message is one sentence fit for the user."""


class SandboxUnavailable(SandboxError):
    """No sandbox could be had: no engine, no such image, no room. The message names the way out."""


class SandboxLost(SandboxError):
    """The sandbox is gone (killed, removed, its runner dead). No call on it will succeed again.

    A call that was under way when it broke may or may not have happened; it is never repeated.
    """


FileProblem = Literal[
    "not_found",
    "is_directory",
    "not_a_file",
    "permission",
    "too_large",
    "changed",
    "exists",
    "no_space",
    "bad_path",
    "other",
]


class FileError(SandboxError):
    """A file operation failed inside the sandbox; the sandbox itself is well."""

    def __init__(self, problem: FileProblem, path: str, detail: str = "") -> None:
        self.problem: FileProblem = problem
        self.path = path
        self.detail = detail
        super().__init__(f"{path}: {detail or problem.replace('_', ' ')}")


ProcessProblem = Literal["unknown", "too_many", "input_closed", "input_full"]


class ProcessError(SandboxError):
    """A request about a background process that cannot be carried out; the sandbox itself is well."""

    def __init__(self, problem: ProcessProblem, message: str) -> None:
        self.problem: ProcessProblem = problem
        super().__init__(message)


EntryKind = Literal["file", "folder", "link", "other"]
"""What a name in a folder stands for: `link` for symbolic links, `other` for pipes, sockets and devices."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder. Bytes in it that are no UTF-8 are surrogates, as in `os.fsdecode`."""

    name: str
    kind: EntryKind


@dataclass(frozen=True, slots=True)
class Listing:
    """What a folder holds, by name, and how many further entries were left out.

    With `counted` False, of a very large folder, there may be still more, and those shown are some, not the first.
    """

    entries: tuple[Entry, ...]
    left_out: int = 0
    counted: bool = True


Ending = Literal["exited", "timeout", "out_of_memory", "disk_full"]


@dataclass(frozen=True, slots=True)
class Output:
    """Bounded output of a command: standard output and error in the order they were written.

    `head` and `tail` are bytes as they came; `dropped` bytes between them were left out. When anything was
    dropped, the text (up to the spill limit) is in `spill`, a path inside the sandbox.
    """

    head: bytes
    tail: bytes = b""
    dropped: int = 0
    spill: str | None = None

    @property
    def total(self) -> int:
        """Bytes the command wrote."""
        return len(self.head) + self.dropped + len(self.tail)

    def text(self) -> str:
        """The output as text for a reader, saying in place how much is missing and where it is."""
        head = self.head.decode("utf-8", "replace")
        if not self.dropped:
            return head + self.tail.decode("utf-8", "replace")
        where = f"; full output in {self.spill}" if self.spill else ""
        tail = self.tail.decode("utf-8", "replace")
        return f"{head}\n[... {self.dropped} bytes left out{where} ...]\n{tail}"


@dataclass(frozen=True, slots=True)
class ExecResult:
    """How a command ended.

    `exit_code` follows the shell's convention (128+N for signal N); on "timeout" and "disk_full" it is None. On
    "timeout" every process the command started is dead already. On "disk_full" (the sandbox holds more bytes or
    files than its limits allow) every process in the sandbox is; later commands are there to delete something.
    """

    exit_code: int | None
    ending: Ending
    output: Output
    seconds: float


@dataclass(frozen=True, slots=True)
class PtySize:
    """The size of a terminal, in characters."""

    rows: int = 24
    columns: int = 80


ProcessEnding = Literal["exited", "stopped", "out_of_memory", "disk_full"]


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """A background process. `argv` is its command as text, cut to MAX_ARGV characters.

    `status` is of the command itself: what it started may live on after it, until `process_stop`. `exit_code` and
    `ending` are None while it runs; "stopped" is the ending of one that `process_stop` ended. `total` counts the
    bytes it wrote so far, `seconds` how long it ran. `log` is a path inside with all of its output (up to the
    spill limit), None as long as `process_read` still has all of it.
    """

    number: int
    argv: str
    status: Literal["running", "exited"]
    exit_code: int | None
    ending: ProcessEnding | None
    total: int
    seconds: float
    pty: bool
    log: str | None = None


@dataclass(frozen=True, slots=True)
class ProcessOutput:
    """A part of what a background process wrote: `data`, from byte `start` of all of it up to byte `next`.

    Only the last KEPT_OUTPUT bytes are kept: `dropped` bytes between what was asked for and `start` are gone
    (`info.log` may hold them). Bytes from `next` to `info.total` are there to be read.
    """

    data: bytes
    start: int
    next: int
    dropped: int
    info: ProcessInfo


@dataclass(frozen=True, slots=True)
class Limits:
    """What one sandbox may use. A limit set to None does not exist.

    `disk_bytes` and `files` are what the agent's files may come to, all together; in an image without Python they
    are not watched.
    """

    memory_bytes: int | None = 4 << 30
    cpus: float | None = 2.0
    pids: int | None = 512
    open_files: int | None = 8192
    file_bytes: int | None = 4 << 30
    disk_bytes: int | None = 16 << 30
    files: int | None = 1_000_000

    @property
    def saved_bytes(self) -> int | None:
        """The most bytes that a copy of the files may come to on the host, where holes in files take room."""
        return None if self.disk_bytes is None else self.disk_bytes + OVERSHOOT


@dataclass(frozen=True, slots=True)
class WorkspaceArchive:
    """A tar archive of the host's making, to be unpacked below `target` when a sandbox is opened."""

    archive: Path
    target: str = WORKSPACE


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A sandbox's whole file state at a moment: the workspace, installed packages, everything but mounts.

    `id` is the backend's name for it; `number` counts a run's checkpoints from 1 and is never used twice;
    `label` is the caller's own text; `created` is seconds since the epoch; `size` is the bytes that it adds to
    what it builds on (what the sandbox was opened from, or the last checkpoint), which is what keeping it costs.
    """

    id: str
    run_id: str
    number: int
    label: str
    created: float
    size: int


LEFT_BEHIND = "left behind"
"""The label of the checkpoint that `Backend.reap` makes of a dead owner's sandbox whose work is wanted."""


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """What to open. `image` is `host` (the host's toolchain, read-only) or a name the engine knows.

    `keeper` is the folder on the host whose owner saves the work of a sandbox that outlives its process; without
    one nobody does, and any reaper removes it.
    `checkpoint` is the file state to begin with, instead of the image's own; it was made in a sandbox of the same
    `image`. `workspace` is unpacked before the sandbox is handed out. `network` is what it can reach, `egress` how
    the hosts of an allowlist are found and dialled, and who is told. Of a `host` sandbox's toolchain, `hidden` are
    folders and files (absolute paths of the host) and `hidden_packages` Python packages, in whatever site-packages
    they are installed, that are shown empty or cannot be read.
    """

    run_id: str
    image: str = "host"
    keeper: str = ""
    limits: Limits = field(default_factory=Limits)
    env: Mapping[str, str] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    workspace: WorkspaceArchive | None = None
    network: Network = field(default_factory=Network)
    egress: Egress = field(default_factory=Egress)
    hidden: tuple[str, ...] = ()
    hidden_packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileChange:
    """A path that is not as the sandbox began with it. Bytes that are no UTF-8 may be replaced in it."""

    path: str
    kind: Literal["added", "modified", "deleted"]


@runtime_checkable
class TellsChanges(Protocol):
    """A sandbox that knows what was changed in it, mounts left out. Works on a stopped one, too."""

    async def changed(self) -> Sequence[FileChange]:
        """Every path that differs from what it began with, and the folders above it. Untrusted."""


class Sandbox(Protocol):
    """One open sandbox. Methods may be called concurrently. All paths are POSIX, absolute or below WORKSPACE.

    Every method raises SandboxLost when the sandbox is gone.
    """

    @property
    def name(self) -> str:
        """What the engine calls it, for people."""

    @property
    def shell(self) -> str:
        """The best shell inside: `bash` where there is one, else `sh`."""

    async def exec(
        self,
        argv: Sequence[str | bytes],
        *,
        cwd: str = WORKSPACE,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        timeout: float = 120.0,  # noqa: ASYNC109 -- enforced inside the sandbox, where the processes are
        max_output: int = 65536,
        on_output: Callable[[bytes], None] | None = None,
        alone: bool = False,
    ) -> ExecResult:
        """Run `argv` (no shell) and wait for it. Standard input is `stdin`, then end of file.

        At most `max_output` bytes of output come back (half head, half tail). Processes it leaves in the
        background live on, unless it is `alone`: then they are killed before this returns. Cancelling the
        awaiting task kills the whole tree inside before CancelledError comes out. A command that cannot be
        started exits 127 (not found) or 126, with the reason as output; a `cwd` that is no directory raises
        FileError.
        """

    async def start(
        self,
        argv: Sequence[str | bytes],
        *,
        cwd: str = WORKSPACE,
        env: Mapping[str, str] | None = None,
        pty: PtySize | None = None,
    ) -> int:
        """Start `argv` in the background, without a deadline, and return its number.

        Its standard input stays open. With `pty`, it has a terminal of that size for all three streams, which is
        its controlling one. It lives until it ends, is stopped, or the sandbox goes. A command that cannot be
        started is there nevertheless: exited with 127 (not found) or 126, the reason as its output. Raises
        FileError for a `cwd` that is no directory, ProcessError `too_many` while MAX_PROCESSES live. Cancelling
        ends what was started.
        """

    async def processes(self) -> list[ProcessInfo]:
        """The background processes, oldest first, with those ended ones that are still remembered."""

    async def process_read(
        self, process: int, *, after: int = 0, wait: float = 0.0, max_bytes: int = 65536
    ) -> ProcessOutput:
        """Output from byte `after` on, at most `max_bytes` (and KEPT_OUTPUT) of it.

        When there is none, waits up to `wait` seconds until some comes or the process ends. Raises ProcessError
        `unknown`.
        """

    async def process_write(self, process: int, data: bytes, *, eof: bool = False) -> None:
        """Write to a process's standard input; with `eof`, close it afterwards.

        It returns when the bytes are accepted, not when they are read. On a terminal `eof` types its end-of-file
        character, which means as much only to a program that reads lines, and the input stays open. Raises
        ProcessError: `unknown`, `input_closed`, `input_full` when more than MAX_INPUT would wait.
        """

    async def process_stop(self, process: int, *, grace: float = 2.0) -> ProcessInfo:
        """End a process and all it started: ask with SIGTERM, kill what still lives after `grace` seconds.

        Returns when nothing of it lives; what had ended already stays as it was. Raises ProcessError `unknown`.
        """

    async def read(self, path: str, *, max_bytes: int = 10 << 20) -> bytes:
        """The bytes of a regular file. Raises FileError, `too_large` above `max_bytes`."""

    async def write(
        self,
        path: str,
        data: bytes,
        *,
        expect: bytes | None = None,
        create_only: bool = False,
        follow: bool = True,
    ) -> None:
        """Write a file atomically, making parent folders; an existing file keeps its mode.

        With `expect`, only if the file holds exactly those bytes now, else FileError `changed`.
        With `create_only`, only if nothing is there, else FileError `exists`. Symlinks are followed as the
        agent's own processes would; the workspace boundary is the caller's question, not this method's.

        With `follow` False, no part of the path may be a symlink, else FileError `bad_path`: together with
        `resolve` this writes to the place that was looked at and no other, whatever changes in between.
        """

    async def resolve(self, path: str) -> str:
        """The absolute real path, free of symlinks, `.` and `..`; what is missing of it is added as spelled.

        Raises FileError, `bad_path` for links that lead nowhere or in circles.
        """

    async def list(self, path: str = WORKSPACE, *, max_entries: int = 10_000) -> Listing:
        """What a folder holds, at most `max_entries` of it. Raises FileError, `bad_path` for what is none."""

    async def upload(self, archive: Path, target: str = WORKSPACE) -> None:
        """Unpack a tar archive of the host's making below `target`, owned by the agent's user."""

    async def give(self, archive: Path) -> None:
        """Unpack a tar archive of the host's making below GIVEN, where commands can read it and change nothing.

        What was given before stays. It is no part of a checkpoint that can be relied on.
        """

    def download(self, path: str = WORKSPACE) -> AsyncIterator[bytes]:
        """The tar stream of `path` as the engine hands it out (names relative to the parent of `path`).

        Works on a stopped sandbox too. Untrusted: the reader bounds and checks everything.
        """

    async def checkpoint(self, label: str = "") -> Checkpoint:
        """Save the whole file state, as it is at one moment between two steps of every process inside.

        Processes stand still meanwhile and go on afterwards; they are not part of it, nor is what is mounted
        (the host's toolchain, an image's volumes). Costs time and disk for what changed since the sandbox was
        opened or restored, or since the last checkpoint where the backend is `incremental`. It outlives the
        sandbox and this process. Works on a stopped sandbox too. Raises SandboxError when it cannot be saved;
        nothing of it is then left, and the sandbox is as before.
        """

    async def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to a file state that a sandbox of the same image saved; this same object goes on from it.

        All processes are gone afterwards, also those that ran when the state was saved. Calls still under way
        fail with SandboxLost. Limits, mounts, environment and network are as they were opened. Raises
        SandboxError when there is no such checkpoint (any more) or the new state does not start: everything is
        then as before. A sandbox that was lost is restored too; one that was closed is not.
        """

    async def go_on_from(self, checkpoint: Checkpoint) -> bool:
        """Restore what was just saved, so that later checkpoints cost less, if nothing is lost by it.

        It does nothing and is False where they cost no more anyway, where a command runs or a background process
        lives or is remembered, and where files lie in what is no part of a checkpoint. Raises SandboxError as
        `restore` does.
        """

    async def fork(self, run_id: str, checkpoint: Checkpoint | None = None) -> Sandbox:
        """Another sandbox like this one, from `checkpoint` or from the files as they are now.

        No process is copied. The two share nothing from then on. Raises SandboxError as `restore` does.
        """

    def adopt(self, run_id: str) -> None:
        """Count as part of another run from now on: the checkpoints made of it are that run's.

        What the engine calls the sandbox itself, and what happens to it when its owner dies, stay as they were.
        """

    async def stop(self) -> None:
        """End every process; files stay readable through `download`. Calling it twice is harmless."""

    async def close(self) -> None:
        """Remove it and all it holds. Never raises for a sandbox that is gone already."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `bridle doctor`: is `what` in order, and if not, the command or step that mends it.

    What is not `needed` may be missing: something else does its work.
    """

    what: str
    ok: bool
    detail: str
    mend: str = ""
    needed: bool = True


LeftoverKind = Literal["sandbox", "checkpoint"]


@dataclass(frozen=True, slots=True)
class Reaped:
    """Something that a dead owner left, now gone. `size` is the bytes of disk it took, as far as that is known.

    `saved` holds a sandbox's workspace, when someone wanted it.
    """

    name: str
    run_id: str
    saved: Path | None = None
    kind: LeftoverKind = "sandbox"
    size: int = 0


class Backend(Protocol):
    """A way to make sandboxes."""

    @property
    def name(self) -> str:
        """The backend's name on the command line."""

    @property
    def incremental(self) -> bool:
        """Does a checkpoint cost what changed since the last one, and not since the sandbox was opened?"""

    async def open(self, spec: SandboxSpec) -> Sandbox:
        """A fresh sandbox, its workspace empty unless the spec fills it.

        Raises SandboxUnavailable; SandboxError when the spec's checkpoint or archive cannot be had.
        """

    async def checkpoints(self, run_prefix: str) -> list[Checkpoint]:
        """The checkpoints of all runs whose id begins so, oldest first, whoever made them. Raises SandboxError."""

    async def drop(self, checkpoint: Checkpoint) -> None:
        """Forget a checkpoint. Its disk space comes back once nothing that began with it needs it any more.

        Dropping what is gone is harmless. Raises SandboxError.
        """

    async def check(self) -> list[Check]:
        """What is there and what is missing, for `bridle doctor`. Never raises."""

    async def reap(
        self,
        save_to: Callable[[str], Path | None] | None = None,
        *,
        keeper: str = "",
        wanted: Callable[[str], bool] | None = None,
        dry_run: bool = False,
    ) -> list[Reaped]:
        """Remove what owners that no longer live have left behind; a live owner's things are never touched.

        Neither is what another keeper, whose folder still exists, has to save: that one's next start does.

        `save_to` maps a run id to the file its workspace tar shall be written to before removal (atomically,
        flushed to disk), or None to drop it. `wanted` says for a run id whether its checkpoints are to be kept
        although their owner is dead; without it, all are. With `dry_run` nothing is changed: the answer is what
        would go. Raises SandboxUnavailable when there is no engine.
        """
