"""Where sessions are kept: one folder each, below the user's state folder.

    sessions/ID/journal.jsonl   the record
    sessions/ID/journal.head    how long the record was, and its last hash, when that was last made durable
    sessions/ID/base.tar        the working tree as it was taken in
    sessions/ID/base.json       its manifest
    sessions/ID/workspace.tar   the sandbox's workspace, when a session ended or died unfinished
    sessions/ID/patch.diff      the difference so far

Threat model: ids come from the command line and run ids from container labels, which others may write; both are
matched against a strict pattern before they become a path. Folders are readable by their owner only.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from agent import chain
from agent.journal import (
    AnyEvent,
    Delivered,
    Journal,
    JournalDamaged,
    SandboxOpened,
    SessionEnded,
    SessionRewound,
    SessionStarted,
    read_events,
)
from agent.outcomes import UsageProblem
from sandboxes.secrets import Secrets

LOCK_TRIES = 10
_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}")
_RUN_ID = re.compile(r"(" + _ID.pattern + r")\.w[0-9]{1,4}")
_ANY_RUN = re.compile(r"(" + _ID.pattern + r")\.[a-z0-9.-]{1,40}")


def state_dir() -> Path:
    """The folder for state: BRIDLE_STATE_DIR, else the platform's own."""
    if named := os.environ.get("BRIDLE_STATE_DIR"):
        return Path(named).expanduser().absolute()
    from platformdirs import user_state_path

    return user_state_path("bridle")


@dataclass(frozen=True, slots=True)
class SessionFolder:
    """The files of one session."""

    path: Path

    @property
    def id(self) -> str:
        """The session's id."""
        return self.path.name

    @property
    def journal(self) -> Path:
        """The record."""
        return self.path / "journal.jsonl"

    @property
    def base_archive(self) -> Path:
        """The working tree as it was taken in."""
        return self.path / "base.tar"

    @property
    def base_manifest(self) -> Path:
        """What base.tar holds, with the commit it stands on."""
        return self.path / "base.json"

    @property
    def workspace(self) -> Path:
        """The sandbox's workspace, saved when the session ended or died unfinished."""
        return self.path / "workspace.tar"

    @property
    def patch(self) -> Path:
        """The difference so far, for `git apply`."""
        return self.path / "patch.diff"

    def lock(self) -> int:
        """Take the session for this process; the descriptor holds it till it is closed or the process ends.

        Raises UsageProblem when another process works on it.
        """
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for _ in range(LOCK_TRIES):  # somebody who only looks holds it for a moment
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.05)
            else:
                return descriptor
        os.close(descriptor)
        raise UsageProblem(f"session {self.id} is being worked on by another process; wait until it ends")


@dataclass(frozen=True, slots=True)
class SessionLine:
    """One row of `bridle sessions`."""

    id: str
    task: str
    repository: str
    started: float
    outcome: str
    resumable: bool


class Store:
    """All sessions of a user."""

    def __init__(self, root: Path | None = None) -> None:
        """`root` is the state folder, by default `state_dir()`."""
        self.root = root or state_dir()
        self.sessions = self.root / "sessions"

    def create(self) -> SessionFolder:
        """A new, empty session folder."""
        self.sessions.mkdir(parents=True, exist_ok=True)
        while True:
            folder = self.sessions / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
            try:
                folder.mkdir(mode=0o700)
            except FileExistsError:  # another session of this very second drew the same name
                continue
            return SessionFolder(folder)

    def find(self, session: str) -> SessionFolder:
        """The folder of a session, by id or by an unambiguous beginning of it; `last` is the newest."""
        ids = self.ids()
        found = ids[-1:] if session == "last" else [name for name in ids if session and name.startswith(session)]
        if session in ids:
            found = [session]
        if len(found) != 1:
            problem = "no session" if not found else f"{len(found)} sessions begin with"
            raise UsageProblem(f"{problem} {session!r}; `bridle sessions` lists them")
        return SessionFolder(self.sessions / found[0])

    def ids(self) -> list[str]:
        """All session ids, oldest first."""
        if not self.sessions.is_dir():
            return []
        return sorted(entry.name for entry in self.sessions.iterdir() if _ID.fullmatch(entry.name))

    def save_to(self, run_id: str) -> Path | None:
        """Where the workspace of a dead owner's sandbox is to be saved, or None when it is not wanted.

        What was done before the session was rewound is not wanted.
        Only a sandbox that had its workspace whole (its opening is in the journal) is worth saving: one that
        died while it was being filled would overwrite a good copy with half of one.
        """
        match = _RUN_ID.fullmatch(run_id)
        if match is None:
            return None
        folder = SessionFolder(self.sessions / match[1])
        try:
            events = read_events(folder.journal)
        except (FileNotFoundError, JournalDamaged):
            return None
        last = next((e for e in reversed(events) if isinstance(e, SandboxOpened | SessionRewound)), None)
        wanted = isinstance(last, SandboxOpened) and last.run_id == run_id
        return folder.workspace if wanted else None

    def session_of(self, run_id: str) -> str | None:
        """The session that a run id is of, if it is one of ours."""
        match = _ANY_RUN.fullmatch(run_id)
        return match[1] if match and (self.sessions / match[1]).is_dir() else None

    def wants(self, run_id: str) -> bool:
        """Whether checkpoints of this run are still of use: its session is being worked on, or can go on.

        A journal that cannot be read leaves that unsure, and then they are.
        """
        session = self.session_of(run_id)
        if session is None:
            return False
        folder = SessionFolder(self.sessions / session)
        if is_locked(folder):
            return True
        try:
            return why_not_resumable(read_events(folder.journal)) is None
        except FileNotFoundError:
            return False
        except JournalDamaged:
            return True

    def list(self) -> list[SessionLine]:
        """A line for each session whose journal can be read, oldest first."""
        lines = []
        for name in self.ids():
            try:
                lines.append(_line(name, SessionFolder(self.sessions / name)))
            except (FileNotFoundError, JournalDamaged):
                lines.append(SessionLine(name, "", "", 0.0, "journal damaged", False))
        return lines


def _line(name: str, folder: SessionFolder) -> SessionLine:
    events = read_events(folder.journal)
    if not events or not isinstance(events[0], SessionStarted):
        return SessionLine(name, "", "", 0.0, "never started", False)
    start = events[0]
    last = events[-1]
    if isinstance(last, SessionEnded):
        return SessionLine(name, start.task, start.repository, start.time, last.outcome.value, last.resumable)
    if isinstance(last, SessionRewound):
        return SessionLine(name, start.task, start.repository, start.time, "rewound", True)
    outcome = "running" if is_locked(folder) else "died"
    return SessionLine(name, start.task, start.repository, start.time, outcome, outcome == "died")


def is_locked(folder: SessionFolder) -> bool:
    """Whether a process works on the session, without getting in its way or leaving anything behind."""
    try:
        descriptor = os.open(folder.path / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def open_journal(folder: SessionFolder, secrets: Secrets | None = None) -> Journal:
    """The session's journal, for appending, with `secrets` masked.

    Raises UsageProblem when it is damaged, or its end was cut off: going on after a cut would write a new head,
    and the cut would not show any more.
    """
    try:
        journal = Journal(folder.journal, secrets)
    except JournalDamaged as error:
        raise UsageProblem(f"the journal cannot be read: {error}") from error
    checked = chain.check(folder.journal)
    if checked.replaced:
        journal.close()
        raise UsageProblem(
            f"the journal of session {folder.id} is not what it was: {checked.problems[-1]}. `bridle audit` says "
            f"more; to go on all the same, remove {chain.head_path(folder.journal)}"
        )
    return journal


def events_of(folder: SessionFolder) -> list[AnyEvent]:
    """What a session's journal holds, none when there is no journal. Raises UsageProblem when it is damaged."""
    try:
        return read_events(folder.journal)
    except FileNotFoundError:
        return []
    except JournalDamaged as error:
        raise UsageProblem(f"the journal cannot be read: {error}") from error


def why_not_resumable(events: list[AnyEvent]) -> str | None:
    """Why a session cannot go on, in words; None when it can."""
    if not events:
        return "it never started"
    if any(isinstance(event, Delivered) for event in events):
        return "it is finished, and its branch is delivered"
    last = events[-1]
    if isinstance(last, SessionEnded) and not last.resumable:
        return f"it ended for good: {last.detail}"
    return None
