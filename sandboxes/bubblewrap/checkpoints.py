"""Checkpoints of the `bubblewrap` backend: folders beside those of the sandboxes.

    bubblewrap/checkpoints/ID/about.json   run, keeper and owner as labels; number, label, size, …
    bubblewrap/checkpoints/ID/manifest     what there was, and
    bubblewrap/checkpoints/ID/packs/…      its content (see `tree`)

A checkpoint is there as a whole or not at all: it is made under another name first. Two that follow each other
share what did not change; each can be dropped at any time, and what the other one needs stays, and is then counted
as the other one's.

Threat model: ids come from journals and command lines, which others may have written: an id is matched against a
strict pattern before it becomes a path. What is saved belongs to whoever runs Bridle, and nobody else may enter
the folder. While it is read, no process of the sandbox runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandboxes.bubblewrap.freeze import mapped_files, standing_still
from sandboxes.bubblewrap.restorer import Restorer
from sandboxes.bubblewrap.saver import Saver
from sandboxes.bubblewrap.scratch import PLACES, Scratch, load_json, remove_tree, store_json
from sandboxes.bubblewrap.tree import Known
from sandboxes.ownership import KEEPER_LABEL, RUN_LABEL, Owner, is_anothers, is_dead, read_labels, this_owner
from sandboxes.protocol import Checkpoint, Reaped, SandboxError

FOLDER = "checkpoints"
MAX_NOTE = 200
UNFINISHED, LEAVING = ".new-", ".gone-"
OLD_SECONDS = 3600.0
_ID = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,150}")


@dataclass(frozen=True, slots=True)
class Makers:
    """Whose a checkpoint is, and what is said about it."""

    run_id: str
    keeper: str
    number: int
    label: str
    requests: int
    owner: Owner


def save(
    home: Path, scratch: Scratch, known: Known, about: Makers, *, groups: tuple[Path, ...] = (), first: int = 0
) -> tuple[Checkpoint, Known]:
    """Save a sandbox's files, and say which of them the next one need not copy. Blocks. Raises SandboxError.

    `first` is the number of its first process, 0 when none of its processes lives.
    """
    run = re.sub(r"[^a-zA-Z0-9_.-]", "-", about.run_id)[:60].lstrip(".-") or "run"
    name = f"{run}-{about.number}-{secrets.token_hex(4)}"
    labels = {RUN_LABEL: about.run_id, KEEPER_LABEL: about.keeper, **about.owner.labels()}
    part = home / FOLDER / f"{UNFINISHED}{name}"
    try:
        part.mkdir(parents=True, mode=0o700)
        # Known as a dead owner's, should this process die now; and as a living one's as long as it does not.
        store_json(part / "about.json", {"labels": {**labels, **this_owner().labels()}})
        with _still(groups, first) as mapped:
            saver = Saver(part, known, mapped)
            saver.save(scratch.files, PLACES, name)
        what = {
            "labels": labels,
            "number": about.number,
            "label": about.label[:MAX_NOTE],
            "created": round(time.time(), 3),
            "size": saver.size,
            "requests": about.requests,
            "shares": known.folder.parent.name if known.folder else "",
        }
        store_json(part / "about.json", what)
        part.rename(home / FOLDER / name)
    except BaseException as e:
        with contextlib.suppress(SandboxError):
            remove_tree(part)
        if isinstance(e, OSError | SandboxError):
            why = e.strerror or str(e) if isinstance(e, OSError) else str(e).rstrip(".")
            raise SandboxError(f"The files of sandbox {scratch.name} could not be saved: {why}.") from e
        raise
    saver.now.folder = home / FOLDER / name / "packs"
    return _checkpoint(name, what), saver.now


@contextmanager
def _still(groups: tuple[Path, ...], first: int) -> Iterator[set[int] | None]:
    if not first:
        yield set()
        return
    with standing_still(groups, first) as members:
        yield mapped_files(members)


def restore(home: Path, checkpoint: Checkpoint, scratch: Scratch) -> tuple[Known, int]:
    """Fill a new sandbox's folders: what later checkpoints can share, and the number of the last request before.

    Blocks. Raises SandboxError.
    """
    folder = home / FOLDER / _checked(checkpoint)
    about = load_json(folder / "about.json")
    if _labels(about).get(RUN_LABEL) != checkpoint.run_id:
        raise _gone(checkpoint)
    restorer = Restorer(folder, scratch.user)
    try:
        restorer.restore(scratch.files, PLACES)
    except (OSError, SandboxError) as e:
        if not folder.is_dir():
            raise _gone(checkpoint) from e
        why = e.strerror or str(e) if isinstance(e, OSError) else str(e)
        raise SandboxError(
            f"Checkpoint {checkpoint.number} of {checkpoint.run_id} cannot be brought back: {why}."
        ) from e
    return restorer.now, int(_number(about.get("requests")))


def listed(home: Path, run_prefix: str) -> list[Checkpoint]:
    """See `Backend.checkpoints`. Blocks. Raises SandboxError."""
    found = []
    for folder in _folders(home):
        about = load_json(folder / "about.json")
        if RUN_LABEL in _labels(about) and _labels(about)[RUN_LABEL].startswith(run_prefix):
            found.append(_checkpoint(folder.name, about))
    return sorted(found, key=lambda each: (each.created, each.run_id, each.number))


def drop(home: Path, checkpoint: Checkpoint) -> None:
    """See `Backend.drop`. Blocks. Raises SandboxError."""
    name = _checked(checkpoint)
    if _labels(load_json(home / FOLDER / name / "about.json")).get(RUN_LABEL) == checkpoint.run_id:
        _remove(home, name)


def reap(
    home: Path, keeper: str, wanted: Callable[[str], bool] | None, *, dry_run: bool
) -> tuple[list[Reaped], list[str]]:
    """Remove dead owners' checkpoints that nobody wants, and what is half made. Blocks.

    The second answer is what went wrong, a sentence each.
    """
    here = this_owner()
    gone: list[Reaped] = []
    troubles: list[str] = []
    for folder in _folders(home, unfinished=True):
        about = load_json(folder / "about.json")
        labels = _labels(about)
        known = read_labels(labels)
        if known is None or is_anothers(labels, keeper) or not is_dead(known[1], here, local_engine=True):
            continue
        half = folder.name.startswith(UNFINISHED)
        if not half and (wanted is None or wanted(known[0])):
            continue
        try:
            if not dry_run:
                _remove(home, folder.name)
        except SandboxError as e:
            troubles.append(str(e))
            continue
        if not half:
            gone.append(Reaped(folder.name, known[0], kind="checkpoint", size=int(_number(about.get("size")))))
    if not dry_run:
        for left in [*(home / FOLDER).glob(f"{LEAVING}*"), *_begun_long_ago(home)]:
            with contextlib.suppress(SandboxError):
                remove_tree(left)
    return gone, troubles


def _begun_long_ago(home: Path) -> Iterator[Path]:
    """Those whose maker died before it could say who it was."""
    for folder in (home / FOLDER).glob(f"{UNFINISHED}*"):
        with contextlib.suppress(FileNotFoundError):
            if not (folder / "about.json").exists() and folder.stat().st_mtime < time.time() - OLD_SECONDS:
                yield folder


def _remove(home: Path, name: str) -> None:
    """Take a checkpoint away; what it shares with others is theirs from now on. Raises SandboxError."""
    folder = home / FOLDER / name
    leaving = folder.with_name(f"{LEAVING}{name}-{secrets.token_hex(4)}")
    try:
        with _one_at_a_time(home):
            about = load_json(folder / "about.json")
            folder.rename(leaving)
            _hand_down(home, name, about, leaving)
    except FileNotFoundError:
        return
    except OSError as e:
        raise SandboxError(f"The checkpoint {name} cannot be removed: {e.strerror}.") from e
    remove_tree(leaving)


def _hand_down(home: Path, name: str, about: Mapping[str, Any], leaving: Path) -> None:
    """Count what stays on the disk of a checkpoint for the oldest of those that share with it."""
    heirs = [(folder, load_json(folder / "about.json")) for folder in _folders(home)]
    heirs = [(folder, theirs) for folder, theirs in heirs if theirs.get("shares") == name]
    if not heirs:
        return
    freed = 0
    with os.scandir(leaving / "packs") as packs:
        for each in packs:
            info = each.stat(follow_symlinks=False)
            freed += info.st_blocks * 512 if info.st_nlink == 1 else 0
    stays = max(0, int(_number(about.get("size"))) - freed - (leaving / "manifest").stat().st_size)
    heirs.sort(key=lambda heir: _number(heir[1].get("created")))
    for number, (folder, theirs) in enumerate(heirs):
        shares = about.get("shares", "") if number == 0 else heirs[0][0].name
        size = int(_number(theirs.get("size"))) + (stays if number == 0 else 0)
        store_json(folder / "about.json", {**theirs, "size": size, "shares": shares})


@contextmanager
def _one_at_a_time(home: Path) -> Iterator[None]:
    fd = os.open(home / FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _folders(home: Path, *, unfinished: bool = False) -> list[Path]:
    """The folders of all checkpoints. Raises SandboxError."""
    try:
        names = sorted(os.listdir(home / FOLDER))  # noqa: PTH208 -- names are all that is needed
    except FileNotFoundError:
        return []
    except OSError as e:
        raise SandboxError(f"The checkpoints in {home / FOLDER} cannot be listed: {e.strerror}.") from e
    return [
        home / FOLDER / name
        for name in names
        if _ID.fullmatch(name) or (unfinished and _ID.fullmatch(name.removeprefix(UNFINISHED)))
    ]


def _checked(checkpoint: Checkpoint) -> str:
    if not _ID.fullmatch(checkpoint.id):
        raise SandboxError(f"{checkpoint.id[:80]!r} is no checkpoint of the bubblewrap backend.")
    return checkpoint.id


def _gone(checkpoint: Checkpoint) -> SandboxError:
    return SandboxError(f"bubblewrap no longer has checkpoint {checkpoint.number} of {checkpoint.run_id}.")


def _checkpoint(name: str, about: Mapping[str, Any]) -> Checkpoint:
    return Checkpoint(
        id=name,
        run_id=_labels(about).get(RUN_LABEL, ""),
        number=int(_number(about.get("number"))),
        label=str(about.get("label", "")),
        created=_number(about.get("created")),
        size=int(_number(about.get("size"))),
    )


def _labels(about: Mapping[str, Any]) -> dict[str, str]:
    said = about.get("labels")
    return {str(k): str(v) for k, v in said.items()} if isinstance(said, dict) else {}


def _number(said: Any) -> float:
    """A number that is none too large, else 0."""
    return said if isinstance(said, int | float) and 0 <= said < 1 << 53 else 0
