"""Release pairs: fetched from an index on the loopback device, unpacked with care, made into a repository."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from support.package_index import Pages, source_archive

from agent.outcomes import UsageProblem
from tasks.format.source import Release
from tasks.packages import index as package_index
from tasks.packages import unpacking
from tasks.packages.demo import DEMO
from tasks.packages.index import pip_setting
from tasks.packages.release_pair import ReleasePair, archives, prepare
from tasks.packages.unpacking import members

OLD = source_archive(
    {"thing.py": "def f():\n    return 1\n", "setup.py": "raise SystemExit('run')\n", "doc.gitignore": "x"}
)
NEW = source_archive(
    {"thing.py": "def f():\n    return 2\n", "tests/test_thing.py": "def test(): pass\n"}, "thing-1.1"
)
OLD_SHA, NEW_SHA = (hashlib.sha256(data).hexdigest() for data in (OLD, NEW))
PAIR = ReleasePair(
    package="thing",
    broken=Release(version="1.0", sha256=OLD_SHA),
    fixed=Release(version="1.1", sha256=NEW_SHA),
    issue="f gives 1",
    tests=("tests/test_thing.py",),
    verify="python -m pytest -q",
    requires=("pytest",),
)
HTML = (
    f"<a href='../../files/thing-1.0.tar.gz#sha256={OLD_SHA}'>thing-1.0.tar.gz</a>"
    "<a href='../../files/thing-1.1.tar.gz'>thing-1.1.tar.gz</a>"
)
JSON = json.dumps(
    {
        "files": [
            {"filename": "thing-1.0.tar.gz", "url": "/files/thing-1.0.tar.gz", "hashes": {"sha256": OLD_SHA}},
            {"filename": "thing-1.1.tar.gz", "url": "/files/thing-1.1.tar.gz", "hashes": {"sha256": NEW_SHA}},
        ]
    }
)
FILES = {"/files/thing-1.0.tar.gz": OLD, "/files/thing-1.1.tar.gz": NEW}


def pages(page: str, kind: str, files: Mapping[str, bytes] = FILES) -> Pages:
    return {
        "/simple/thing/": (kind, page.encode()),
        **{path: ("application/gzip", data) for path, data in files.items()},
    }


@pytest.mark.parametrize(
    ("page", "kind"), [(HTML, "text/html"), (JSON, "application/vnd.pypi.simple.v1+json")], ids=["html", "json"]
)
def test_archives_are_fetched_once_and_checked(index: Any, tmp_path: Path, page: str, kind: str) -> None:
    address, asked = index(pages(page, kind))
    old, new = archives(PAIR, tmp_path, index=address)
    assert (old.read_bytes(), new.read_bytes()) == (OLD, NEW)
    assert len(asked) == 3
    assert archives(PAIR, tmp_path, index=address) == (old, new)
    assert len(asked) == 3
    assert {path.suffix for path in tmp_path.iterdir()} == {".gz"}


def test_an_archive_that_went_bad_is_fetched_again(index: Any, tmp_path: Path) -> None:
    address, asked = index(pages(JSON, "application/json"))
    old, _ = archives(PAIR, tmp_path, index=address)
    old.write_bytes(b"something else")
    assert archives(PAIR, tmp_path, index=address)[0].read_bytes() == OLD
    assert len(asked) == 5


def test_a_wrong_hash_is_said_and_the_file_deleted(index: Any, tmp_path: Path) -> None:
    address, _ = index(pages(HTML, "text/html", {**FILES, "/files/thing-1.1.tar.gz": OLD}))
    with pytest.raises(UsageProblem, match=r"thing 1\.1 .* wrong SHA-256"):
        archives(PAIR, tmp_path, index=address)
    assert [path.name for path in tmp_path.iterdir() if "1.1" in path.name] == []


@pytest.mark.parametrize(
    ("page", "kind", "words"),
    [
        ("<html>nothing</html>", "text/html", "no source archive of thing 1.0"),
        ("{", "application/json", "no list of files"),
        ("[]", "application/json", "no list of files"),
        ('{"files": [1, {"url": 2}, {"url": "http://[bad"}]}', "application/json", "no source archive"),
        (HTML.replace("../../files/", "file:///etc/"), "text/html", "is no web address"),
        (HTML.replace("../../files/", "/nothing/"), "text/html", "404"),
    ],
)
def test_a_page_that_cannot_be_used_is_one_clear_sentence(
    index: Any, tmp_path: Path, page: str, kind: str, words: str
) -> None:
    address, _ = index(pages(page, kind))
    with pytest.raises(UsageProblem, match="thing cannot be fetched") as problem:
        archives(PAIR, tmp_path, index=address)
    assert words in str(problem.value)
    assert "\n" not in str(problem.value).split("For more information")[0].strip()


def test_an_index_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"package index http://127\.0\.0\.1:1/"):
        archives(PAIR, tmp_path, index="http://127.0.0.1:1/")
    with pytest.raises(UsageProblem, match="set PIP_INDEX_URL"):
        archives(PAIR, tmp_path, index="ftp://127.0.0.1/")


def test_a_flood_is_cut_off(index: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_index, "MAX_ARCHIVE", 1000)
    address, _ = index(pages(JSON, "application/json", {**FILES, "/files/thing-1.0.tar.gz": b"x" * 5000}))
    with pytest.raises(UsageProblem, match="larger than"):
        archives(PAIR, tmp_path, index=address)
    assert list(tmp_path.iterdir()) == []


def test_pips_own_settings_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example.org/simple")
    assert pip_setting("index-url") == "https://index.example.org/simple"
    assert pip_setting("no-such-setting") is None


def test_the_repository_is_the_release_and_then_the_tests(tmp_path: Path) -> None:
    (tmp_path / "old.tgz").write_bytes(OLD)
    (tmp_path / "new.tgz").write_bytes(NEW)
    target = prepare(PAIR, (tmp_path / "old.tgz", tmp_path / "new.tgz"), tmp_path / "repository")
    assert (target / "thing.py").read_text() == "def f():\n    return 1\n"
    assert _git(target, "log", "--format=%s").splitlines() == ["Tests of thing 1.1", "thing 1.0, as released"]
    assert _git(target, "show", "--format=", "--name-only", "HEAD").split() == ["tests/test_thing.py"]
    (target / ".venv").mkdir()
    (target / ".venv" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    assert _git(target, "status", "--porcelain") == ""
    with pytest.raises(UsageProblem, match="there already"):
        prepare(PAIR, (tmp_path / "old.tgz", tmp_path / "new.tgz"), target)


def test_a_missing_test_is_named(tmp_path: Path) -> None:
    (tmp_path / "old.tgz").write_bytes(OLD)
    with pytest.raises(UsageProblem, match=r"has no tests/test_thing\.py"):
        prepare(PAIR, (tmp_path / "old.tgz", tmp_path / "old.tgz"), tmp_path / "repository")


def test_only_plain_files_below_the_top_folder_come_out(tmp_path: Path) -> None:
    path = tmp_path / "odd.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for name, kind in [
            ("t/link", tarfile.SYMTYPE),
            ("t/hard", tarfile.LNKTYPE),
            ("t/device", tarfile.CHRTYPE),
        ]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
        for name in ("t/good.py", "top.py", "t/.git/config", "t/sub/.git/hooks/x"):
            info = tarfile.TarInfo(name)
            info.size = 1
            tar.addfile(info, io.BytesIO(b"1"))
    assert [str(name) for name, _ in members(path)] == ["good.py"]


@pytest.mark.parametrize("name", ["/etc/cron.d/x", "t/../../x", "../x"])
def test_a_name_that_leads_outside_stops_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / "bad.tgz"
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(UsageProblem, match="leads outside"):
        prepare(PAIR, (path, path), tmp_path / "repository")
    assert [found.name for found in tmp_path.iterdir()] == ["bad.tgz"]


@pytest.mark.parametrize(
    "data",
    [b"", b"not a gzip", gzip.compress(b"not a tar" * 100), OLD[:-20], OLD[:60]],
    ids=["empty", "not a gzip", "not a tar", "cut", "cut early"],
)
def test_damaged_archives_are_one_clear_sentence(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad.tgz"
    path.write_bytes(data)
    with pytest.raises(UsageProblem, match=r"cannot be unpacked|has no tests"):
        prepare(PAIR, (path, path), tmp_path / "repository")


def test_an_archive_that_would_fill_the_disk_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "MAX_UNPACKED", 10)
    path = tmp_path / "big.tgz"
    path.write_bytes(OLD)
    with pytest.raises(UsageProblem, match="MiB"):
        prepare(PAIR, (path, path), tmp_path / "repository")


def test_a_pair_needs_whole_hashes() -> None:
    with pytest.raises(ValidationError, match="sha256"):
        Release(version="1", sha256="abc")
    assert DEMO.tests


def _git(folder: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()
