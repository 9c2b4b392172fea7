"""A package's source from the package index, as a project. Nothing of it is built or run on the host."""

from __future__ import annotations

import datetime
import re
import tarfile
import zlib
from pathlib import Path

from agent.outcomes import UsageProblem
from tasks.format.source import Release
from tasks.making.project import Origin, Project, from_files
from tasks.packages.fetched import cache_folder
from tasks.packages.index import Index, find_index, listed, sources
from tasks.packages.simple_index import File
from tasks.packages.unpacking import members

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?:==[A-Za-z0-9.!+_-]+)?")


def is_package(name: str) -> bool:
    """Whether it reads like a package, with a version or without."""
    return _NAME.fullmatch(name) is not None


def from_package(name: str, *, index: Index | None = None, cache: Path | None = None) -> Project:
    """The source archive of `name` or `name==version` (default: the newest final one) as a project.

    Blocking. Raises UsageProblem.
    """
    package, _, version = name.partition("==")
    index = index or find_index()
    try:
        found, file = newest(listed(package, index), package, version)
        if file.sha256 is None:
            raise UsageProblem(
                f"the package index says no SHA-256 of {file.filename}: unpack it, and give the folder"
            )
        release = Release(version=found, sha256=file.sha256)
        (archive,) = sources(package, [release], cache or cache_folder(), index)
        with tarfile.open(archive, "r:gz") as tar:
            seconds = max((member.mtime for member in tar), default=0)
        day = datetime.datetime.fromtimestamp(seconds, datetime.UTC).date()
        origin = Origin(kind="package", name=package, version=found, sha256=file.sha256, date=day)
        return from_files({str(path): content for path, content in members(archive)}, (), origin)
    except (OSError, ValueError, tarfile.TarError, zlib.error, EOFError) as error:
        raise UsageProblem(f"the source of {package} cannot be had: {error}") from error


def newest(files: list[File], package: str, version: str = "") -> tuple[str, File]:
    """The version and source archive to take. Raises ValueError where there is none."""
    plain = re.sub(r"[-_.]+", "-", package).lower()
    found = []
    for file in files:
        stem, dash, rest = file.filename.removesuffix(".tar.gz").rpartition("-")
        if not file.filename.endswith(".tar.gz") or not dash or re.sub(r"[-_.]+", "-", stem).lower() != plain:
            continue
        numbers = re.fullmatch(r"\d+(?:\.\d+)*", rest)
        if rest == version or (not version and numbers):
            found.append(([int(each) for each in rest.split(".")] if numbers else [], rest, file))
    if not found:
        raise ValueError(f"the package index has no source archive of {package} {version}".rstrip())
    _, number, file = max(found, key=lambda each: each[0])
    return number, file
