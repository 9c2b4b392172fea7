"""Removing what processes that were killed left behind: sandboxes and checkpoints, half-written files, scratch.

What is left over is known by its owner. On an engine, labels name it; on disk, a session's folder belongs to
whoever holds its lock, and a temporary file to whoever holds its own. What is held is never touched. Looking costs
a listing of each session's folder, so that every session can begin with it.

Threat model: nothing here follows a link or takes a path from outside; run ids of labels are matched by the store.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from agent.journal import JournalDamaged, read_events
from agent.scratch import abandoned_scratch, is_held
from agent.store import SessionFolder, Store, why_not_resumable
from sandboxes.protocol import Reaped, SandboxError, SandboxUnavailable

SETTLED_SECONDS = 60.0
"""How old a thing without a lock must be: its maker locks it right after making it."""
DAY = 86400.0
HALF_DONE = (".part", ".partial")
PASSING = frozenset({"changes", "result.tar", "history.bundle"})
"""What a session's folder holds only while a process works on it."""
BULKY = frozenset({"base.tar", "workspace.tar"})
"""What only a session that can go on still needs."""


class Reaper(Protocol):
    """The part of a `Backend` that housekeeping needs."""

    async def reap(
        self,
        save_to: Callable[[str], Path | None] | None = None,
        *,
        keeper: str = "",
        wanted: Callable[[str], bool] | None = None,
        dry_run: bool = False,
    ) -> list[Reaped]:
        """See `Backend`."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that was, or would be, removed. `size` is in bytes, 0 where it is not known."""

    what: str
    name: str
    session: str = ""
    size: int = 0
    saved: bool = False


@dataclass(slots=True)
class Swept:
    """What one sweep came to; `problems` say what was left as it is and why, a sentence each."""

    gone: list[Leftover] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes freed, as far as they are known."""
        return sum(each.size for each in self.gone)


async def sweep(
    store: Store, backends: Sequence[Reaper], *, dry_run: bool = False, all_sessions: bool = False
) -> Swept:
    """Remove everything that dead owners left and nobody can use again.

    `all_sessions` gives up the checkpoints of sessions that could still go on: they are resumed, not rewound.
    A backend that is not there, or cannot do it all, is a problem told, not raised.
    """
    swept = await asyncio.to_thread(sweep_files, store, dry_run=dry_run, thorough=True)
    wanted = (lambda _: False) if all_sessions else store.wants
    for backend in backends:
        try:
            reaped = await backend.reap(store.save_to, keeper=str(store.root), wanted=wanted, dry_run=dry_run)
        except SandboxError as error:
            swept.problems.append(str(error))
            continue
        for each in reaped:
            session = store.session_of(each.run_id) or each.run_id
            swept.gone.append(Leftover(each.kind, each.name, session, each.size, each.saved is not None))
    return swept


def sweep_files(store: Store, *, dry_run: bool = False, thorough: bool = False) -> Swept:
    """Remove what dead processes left on disk. Blocking.

    `thorough` reads journals, too, and drops the copies that sessions which are over have no use for.
    """
    swept = Swept()
    for session in store.ids():
        folder = SessionFolder(store.sessions / session)
        try:
            for what, path in _left_in(folder, thorough=thorough):  # which holds the session's lock
                _remove(swept, what, path, session, dry_run=dry_run)
        except OSError as error:
            swept.problems.append(f"session {session} could not be cleaned: {error}")
    for path in abandoned_scratch(time.time() - SETTLED_SECONDS):
        _remove(swept, "scratch", path, "", dry_run=dry_run)
    return swept


async def tidy(store: Store, backend: Reaper, others: Iterable[Reaper], tell: Callable[[str], None]) -> None:
    """Remove what dead owners left, as everything does that opens sandboxes; `tell` says of what mattered.

    The work of their sessions is saved into the sessions' folders. Raises SandboxUnavailable of `backend` only.
    """
    for problem in (await asyncio.to_thread(sweep_files, store)).problems:
        tell(problem)
    for each in (backend, *others):
        try:
            gone = await each.reap(store.save_to, keeper=str(store.root), wanted=store.wants)
        except SandboxUnavailable:
            if each is backend:
                raise
            continue  # it is not in use here
        except SandboxError as error:  # somebody else's leftovers must not keep this work from starting
            tell(str(error))
            continue
        for found in gone:
            if found.kind == "sandbox":
                kept = "; its work is kept" if found.saved else ""
                tell(f"removed sandbox {found.name}, whose owner is dead{kept}")


def finished_sessions(store: Store, days: float, *, all_sessions: bool = False) -> list[SessionFolder]:
    """Sessions that nobody works on, last written to more than `days` days ago, and that cannot go on.

    `all_sessions` takes those, too, that could.
    """
    found = []
    for session in store.ids():
        folder = SessionFolder(store.sessions / session)
        try:
            old = folder.journal.stat().st_mtime < time.time() - days * DAY
        except FileNotFoundError:
            continue
        if old and not is_held(folder.path / "lock") and (all_sessions or _is_over(folder)):
            found.append(folder)
    return found


def drop_session(folder: SessionFolder, *, dry_run: bool = False) -> Leftover | None:
    """Remove a session's folder, unless somebody works on it. Raises OSError."""
    swept = Swept()
    with _alone(folder) as alone:
        if alone:
            _remove(swept, "session", folder.path, folder.id, dry_run=dry_run)
    return swept.gone[0] if swept.gone else None


def _left_in(folder: SessionFolder, *, thorough: bool) -> Iterator[tuple[str, Path]]:
    """What is left over in one session's folder. While it is asked for, nobody else can take the session."""
    settled = folder.path.stat().st_mtime < time.time() - SETTLED_SECONDS
    entries = sorted(folder.path.iterdir())
    for path in entries:
        if path.name.startswith(".workspace.tar.") and not is_held(path):
            yield "half a file", path
    suspects = [path for path in entries if path.suffix in HALF_DONE or path.name in PASSING]
    started = any(path == folder.journal and path.stat().st_size > 0 for path in entries)
    if started and not suspects and not (thorough and any(path.name in BULKY for path in entries)):
        return
    with _alone(folder) as alone:
        if not alone:
            return
        if not started and settled:
            yield "session that never began", folder.path
        for path in suspects if started else []:
            yield ("half a file" if path.suffix in HALF_DONE else "working files"), path
        if started and thorough and _is_over(folder):
            for path in entries:
                if path.name in BULKY:
                    yield "copy of a finished session", path


@contextmanager
def _alone(folder: SessionFolder) -> Iterator[bool]:
    """Take a session for a moment; False when somebody works on it."""
    descriptor = os.open(folder.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _is_over(folder: SessionFolder) -> bool:
    """Is it certain that a session cannot go on?"""
    try:
        events = read_events(folder.journal)
    except (FileNotFoundError, JournalDamaged):
        return False
    return why_not_resumable(events) is not None


def _remove(swept: Swept, what: str, path: Path, session: str, *, dry_run: bool) -> None:
    """Remove a file or folder, unless `dry_run`, and note it."""
    size = _size(path)
    if not dry_run and path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif not dry_run:
        path.unlink(missing_ok=True)
    swept.gone.append(Leftover(what, str(path), session, size))


def _size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; links count for themselves."""
    total = path.lstat().st_size
    if path.is_dir() and not path.is_symlink():
        total = 0
        for folder, _, names in os.walk(path):
            total += sum((Path(folder) / name).lstat().st_size for name in names)
    return total
