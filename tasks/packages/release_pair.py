"""A real bug from the package index: a release, and the next one, which fixed it and brought the test along.

    fetch two source archives → check their SHA-256 → unpack the older one → add the newer one's tests → commit

Threat model: the index and the archives are foreign. Pages and archives are bounded; an archive is not opened
before its SHA-256 is the expected one; only plain files below its one folder are unpacked; and nothing of a
package is run on the host: no build, no metadata step, which is why `pip download` is not used for the archives.
pip installs only wheels here, into a virtual environment of the task's own.
"""

from __future__ import annotations

import ast
import hashlib
import os
import shutil
import ssl
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, Field

from agent.outcomes import UsageProblem
from agent.repository.plumbing import run_git
from tasks.packages.simple_index import MEDIA_TYPES, File, find_file, parse_page

MAX_PAGE = 32 << 20
MAX_ARCHIVE = 32 << 20
MAX_FILES = 5000
MAX_UNPACKED = 128 << 20
_SHA256 = Field(pattern=r"^[0-9a-f]{64}$")


class Release(BaseModel):
    """A version of a package, and the SHA-256 of its source archive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    sha256: str = _SHA256


class ReleasePair(BaseModel):
    """`broken` has the bug that `issue` tells of; `fixed` brought `tests`, which show it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    package: str
    broken: Release
    fixed: Release
    issue: str
    tests: tuple[str, ...]
    """Paths of test files, taken from the fixed release."""
    verify: str
    """The command that fails with the broken release and passes with the fixed one."""
    requires: tuple[str, ...]
    """What the command needs, as pip takes it."""


def archives(pair: ReleasePair, cache: Path, *, index: str | None = None) -> tuple[Path, Path]:
    """The source archives of both releases in `cache`, fetched where they are not there yet.

    `index` is a package index's address; by default pip's own. Raises UsageProblem.
    """
    releases = (pair.broken, pair.fixed)
    paths = [cache / f"{pair.package}-{release.version}-{release.sha256[:16]}.tar.gz" for release in releases]
    missing = [(r, p) for r, p in zip(releases, paths, strict=True) if not _is_right(p, r.sha256)]
    if missing:
        cache.mkdir(parents=True, exist_ok=True)
        index = index or pip_setting("index-url") or _default_index()
        certificates = pip_setting("cert")
        verify = ssl.create_default_context(cafile=certificates) if certificates else True
        try:
            with httpx.Client(timeout=60.0, follow_redirects=True, verify=verify) as client:
                files = _page(client, index, pair.package)
                for release, path in missing:
                    _download(client, find_file(files, pair.package, release.version, release.sha256), path)
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            raise UsageProblem(
                f"{pair.package} cannot be fetched from the package index {index}: {why}"
            ) from error
        except (OSError, ValueError) as error:
            raise UsageProblem(f"{pair.package} cannot be fetched: {error}") from error
        for release, path in missing:
            if not _is_right(path, release.sha256):
                path.unlink()
                what = f"{pair.package} {release.version} as fetched from {index}"
                raise UsageProblem(f"{what} has the wrong SHA-256, so it is deleted; try another index")
    return paths[0], paths[1]


def prepare(pair: ReleasePair, found: tuple[Path, Path], target: Path) -> Path:
    """A repository at `target` with the broken release, and on top of it the fixed one's tests.

    `target` must not exist, or be an empty folder. Raises UsageProblem.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageProblem(f"{target} is there already and not empty; name another folder")
    target.mkdir(parents=True, exist_ok=True)
    try:
        _fill(pair, found, target)
    except BaseException as error:
        shutil.rmtree(target)
        if isinstance(error, OSError | tarfile.TarError | zlib.error | EOFError | ValueError):
            raise UsageProblem(f"the source of {pair.package} cannot be unpacked: {error}") from error
        raise
    return target


def _fill(pair: ReleasePair, found: tuple[Path, Path], target: Path) -> None:
    for name, data in members(found[0]):
        _write(target, name, data)
    _git(target, "init", "--quiet", "--template=", "--initial-branch=main", ".")
    _exclude(target)
    _commit(target, f"{pair.package} {pair.broken.version}, as released")
    tests = {name: data for name, data in members(found[1]) if str(name) in pair.tests}
    if lacking := set(pair.tests) - {str(name) for name in tests}:
        raise UsageProblem(f"{pair.package} {pair.fixed.version} has no {min(lacking)}")
    for name, data in tests.items():
        _write(target, name, data)
    _commit(target, f"Tests of {pair.package} {pair.fixed.version}\n\nThey show what is wrong in this release.")


def make_environment(pair: ReleasePair, target: Path) -> Path:
    """A virtual environment `.venv` in the repository, with what the verify command needs; its path.

    Only wheels are installed, so that no package's code runs for it. Raises UsageProblem.
    """
    folder = target / ".venv"
    pip = [str(folder / "bin" / "python"), "-P", "-m", "pip", "--disable-pip-version-check", "--no-input"]
    install = ["install", "--quiet", "--only-binary", ":all:", *pair.requires]
    for command in ([sys.executable, "-P", "-m", "venv", str(folder)], [*pip, *install]):
        try:
            subprocess.run(command, cwd=target.parent, check=True, capture_output=True, timeout=600)
        except subprocess.CalledProcessError as error:
            last = (error.stderr or error.stdout or b"?").decode("utf-8", "replace").strip().splitlines()
            words = last[-1] if last else "no reason given"
            raise UsageProblem(
                f"no environment for the tests could be made ({' '.join(command)}): {words}"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise UsageProblem(f"no environment for the tests could be made: {error}") from error
    return folder


def members(archive: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The plain files of a source archive, named relative to its one top folder.

    Links, devices and everything else are left out. Raises ValueError for an archive that is larger than any
    source should be, or has a name that leads outside.
    """
    total = count = 0
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            count += 1
            total += max(member.size, 0)
            if count > MAX_FILES or total > MAX_UNPACKED:
                raise ValueError(f"more than {MAX_FILES} files or {MAX_UNPACKED >> 20} MiB")
            if not member.isreg():
                continue
            name = PurePosixPath(member.name)
            if name.is_absolute() or ".." in name.parts or "\0" in member.name:
                raise ValueError(f"the name {member.name[:200]!r} leads outside")
            stream = tar.extractfile(member)
            if len(name.parts) > 1 and ".git" not in name.parts and stream is not None:
                yield PurePosixPath(*name.parts[1:]), stream.read()


def pip_setting(name: str) -> str | None:
    """What pip of this Python is configured to use, from its files and its environment; None without one."""
    command = [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "config", "list"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    found: dict[str, str] = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition("=")
        scope, _, setting = key.rpartition(".")
        if setting == name and value.startswith(("'", '"')):
            found[scope] = str(ast.literal_eval(value))
    return next((found[scope] for scope in (":env:", "download", "global") if scope in found), None)


def _default_index() -> str:
    """The index that pip uses when nothing is configured, as pip has it. Raises UsageProblem."""
    ask = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
    command = [sys.executable, "-P", "-c", ask]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise UsageProblem("this Python has no pip that names a package index; set PIP_INDEX_URL to one")
    return done.stdout.strip()


def _page(client: httpx.Client, index: str, package: str) -> list[File]:
    """The files that the index has of a package."""
    _check_scheme(index, "")
    address = f"{index.rstrip('/')}/{package.lower().replace('_', '-').replace('.', '-')}/"
    data = bytearray()
    with client.stream("GET", address, headers={"Accept": MEDIA_TYPES}) as response:
        response.raise_for_status()
        for piece in response.iter_bytes():
            data += piece
            if len(data) > MAX_PAGE:
                raise ValueError(f"{address} is larger than {MAX_PAGE >> 20} MiB")
        return parse_page(bytes(data), response.headers.get("content-type", ""), str(response.url))


def _download(client: httpx.Client, file: File, path: Path) -> None:
    _check_scheme(file.url, path.name)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    size = 0
    try:
        with client.stream("GET", file.url) as response, part.open("wb") as out:
            response.raise_for_status()
            for piece in response.iter_bytes():
                size += len(piece)
                if size > MAX_ARCHIVE:
                    raise ValueError(f"{file.filename} is larger than {MAX_ARCHIVE >> 20} MiB")
                out.write(piece)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _check_scheme(address: str, what: str) -> None:
    if urlsplit(address).scheme not in ("https", "http"):
        raise ValueError(
            f"{what} {address[:200]!r} is no web address; set PIP_INDEX_URL to a package index".strip()
        )


def _is_right(path: Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except FileNotFoundError:
        return False


def _write(target: Path, name: PurePosixPath, data: bytes) -> None:
    path = target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _exclude(target: Path) -> None:
    info = target / ".git" / "info"
    info.mkdir(exist_ok=True)
    (info / "exclude").write_text("/.venv/\n__pycache__/\n.pytest_cache/\n")


def _commit(target: Path, message: str) -> None:
    _git(target, "add", "--all", "--force", "--", ".", ":(exclude).venv")
    _git(target, "commit", "--quiet", "--allow-empty", "--no-verify", "-m", message)


def _git(target: Path, *args: str) -> None:
    who = {"NAME": "bridle demo", "EMAIL": "demo@bridle.invalid"}
    people = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
    quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_LITERAL_PATHSPECS": "0"}
    run_git(*args, cwd=target, env={**people, **quiet})
