"""Tasks made whole: a folder with `[bridle.source]`, and what it names of two releases.

    sources and wheels in the cache → workspace, tests, solution → a folder that any task could be

A made task lies in the cache under a hash of the folder it was made from, so that an edit makes another one, and
beside a hash of its own, so that one that was changed since counts as not there.

Threat model: the archives are foreign (see `index`, `unpacking`); nothing of them is run here, and what comes out
is written below a new folder only.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from pathspec import GitIgnoreSpec

from agent.models.embedded import models_folder
from agent.outcomes import UsageProblem
from tasks.format.source import Source
from tasks.format.task import TaskFile, content_hash, load_task, read_task_file
from tasks.packages.index import Index, sources, wheels
from tasks.packages.unpacking import members, wheel_members

MADE_BY = "1"
"""To be changed whenever the same folder and archives make another task."""
SOLVE = """# The files of the release that fixed it, in place of the broken ones.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if [ -d "$here/files" ]; then cp -R "$here/files/." .; fi
if [ -f "$here/removed" ]; then while IFS= read -r name; do rm -f -- "$name"; done < "$here/removed"; fi
"""
Files = dict[PurePosixPath, bytes]


def cache_folder() -> Path:
    """Where fetched archives and made tasks are kept."""
    return models_folder().parent / "releases"


def find_made(folder: Path, cache: Path | None = None) -> Path | None:
    """The whole task made of `folder`, if it is there and as it was made. Raises UsageProblem."""
    place = _place(folder, cache or cache_folder())
    made = place / folder.name
    try:
        said = (place / "content.sha256").read_text().strip()
    except FileNotFoundError:
        return None
    return made if made.is_dir() and content_hash(made) == said else None


def make(folder: Path, index: Index | None = None, cache: Path | None = None) -> Path:
    """Fetch what `folder` names and is not in the cache, and make the whole task. Raises UsageProblem."""
    cache = cache or cache_folder()
    file = read_task_file(folder)
    source = file.bridle.source
    if source is None:
        raise UsageProblem(f"{folder / 'task.toml'}: there is no [bridle.source], so nothing is to be fetched")
    broken, fixed = sources(source.package, (source.broken, source.fixed), cache, index)
    extra = wheels(source.wheels, cache, index)
    place = _place(folder, cache)
    part = place.with_name(f"{place.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        _fill(part / folder.name, folder, file, source, _all(broken), _all(fixed), extra)
        load_task(part / folder.name)
        (part / "content.sha256").write_text(content_hash(part / folder.name) + "\n")
        shutil.rmtree(place, ignore_errors=True)
        part.replace(place)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError) as error:
        raise UsageProblem(f"the task {folder.name} cannot be made of {source.package}: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return place / folder.name


def _place(folder: Path, cache: Path) -> Path:
    key = hashlib.sha256(f"{MADE_BY}\n{folder.name}\n{content_hash(folder)}".encode()).hexdigest()
    return cache / "tasks" / key[:24]


def _all(archive: Path) -> Files:
    return dict(members(archive))


def _fill(
    target: Path, folder: Path, file: TaskFile, source: Source, broken: Files, fixed: Files, extra: Iterable[Path]
) -> None:
    """Write the task: what the archives give, and over it what the folder itself has."""
    taken = GitIgnoreSpec.from_lines(source.take)
    workspace = {name: data for name, data in broken.items() if taken.match_file(str(name))}
    if not workspace:
        raise UsageProblem(f"{folder / 'task.toml'}: bridle.source.take: it takes no file of the source archive")
    guard = GitIgnoreSpec.from_lines(file.bridle.protected)
    for name, data in (each for wheel in extra for each in wheel_members(wheel)):
        if name in workspace or not guard.match_file(str(name)):
            reason = "is there already" if name in workspace else "of a wheel has to be in bridle.protected"
            raise UsageProblem(f"{folder / 'task.toml'}: bridle.source.wheels: {name} {reason}")
        workspace[name] = data
    write_files(target / file.bridle.files, workspace)
    write_files(target / "tests", tests_of(source, fixed, folder))
    (target / "solution").mkdir(parents=True)
    (target / "solution" / "solve.sh").write_text(SOLVE)
    names = [PurePosixPath(each) for each in source.solution or file.bridle.locations]
    if lacking := [name for name in names if name not in fixed and name not in broken]:
        what = f"{source.package} {source.fixed.version} has no {lacking[0]}"
        raise UsageProblem(f"{folder / 'task.toml'}: bridle.source.solution: {what}")
    write_files(target / "solution" / "files", {name: fixed[name] for name in names if name in fixed})
    if removed := [str(name) for name in names if name not in fixed]:
        (target / "solution" / "removed").write_text("".join(f"{name}\n" for name in removed))
    shutil.copytree(folder, target, symlinks=True, dirs_exist_ok=True)


def tests_of(source: Source, fixed: Files, folder: Path) -> Files:
    """The files of `tests`, named below its root. Raises UsageProblem when there are none."""
    root, wanted = PurePosixPath(source.tests.root), GitIgnoreSpec.from_lines(source.tests.paths)
    below = {name.relative_to(root): data for name, data in fixed.items() if name.is_relative_to(root)}
    found = {name: data for name, data in below.items() if wanted.match_file(str(name))}
    if not found:
        what = f"{source.package} {source.fixed.version} has no such file below {root}"
        raise UsageProblem(f"{folder / 'task.toml'}: bridle.source.tests: {what}")
    return found


def write_files(target: Path, files: Mapping[PurePosixPath, bytes]) -> None:
    """Write files below `target`."""
    for name, data in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
