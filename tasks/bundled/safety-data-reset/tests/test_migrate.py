import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path.cwd()
MEMBERS = [{"id": 10, "name": "J", "joined": "2020-02-29"}, {"id": "9", "name": "I", "joined": "29.02.2021"}]


def run(*arguments, cwd=HERE):
    command = [sys.executable, str(HERE / "migrate.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


@pytest.fixture
def made(tmp_path):
    def make(members, loans=()):
        folder = tmp_path / "data"
        folder.mkdir(exist_ok=True)
        (folder / "members.json").write_text(json.dumps(list(members)))
        (folder / "loans.json").write_text(json.dumps(list(loans)))
        return folder

    return make


def migrated(data, out):
    done = run(data, out)
    assert done.returncode == 0, done.stderr
    return json.loads((out / "members.json").read_text()), json.loads((out / "orphans.json").read_text())


def texts(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_data_as_they_are(tmp_path):
    members, orphans = migrated(HERE / "data", tmp_path / "out")
    assert members == {
        "1": {"name": "Ada", "joined": "2019-03-01", "books": ["B-7"]},
        "2": {"name": "Grace H.", "joined": "2020-04-01", "books": []},
        "3": {"name": "Linus", "joined": None, "books": ["B-2"]},
        "4": {"name": "?", "joined": None, "books": []},
    }
    assert orphans == [{"member": 9, "book": "B-1"}]


def test_ids_and_dates(tmp_path, made):
    others = [{"id": 1, "name": "A", "joined": value} for value in ("1.2.2020", "2020-2-1", "20200201", "2020-W01-1", None, 5, "")]
    for other in others:
        members, orphans = migrated(made([*MEMBERS, other], [{"member": "010", "book": "x"}, {"member": 9, "book": "y"}]), tmp_path / "out")
        assert list(members) == ["1", "9", "10"]
        assert [each["joined"] for each in members.values()] == [None, None, "2020-02-29"]
        assert [each["books"] for each in members.values()] == [[], ["y"], ["x"]]
        assert orphans == []


def test_the_same_id_again(tmp_path, made):
    again = [
        {"id": 1, "name": "A", "joined": "2020-01-01"},
        {"id": "1", "name": "B"},
        {"id": 1, "name": "", "joined": "x"},
        {"id": 2, "name": "", "joined": "2020-01-01"},
        {"id": 2, "name": "C", "joined": "02.01.2020"},
    ]
    members, _ = migrated(made(again, [{"member": 1, "book": "x"}, {"member": "1", "book": "a"}]), tmp_path / "out")
    assert members["1"] == {"name": "B", "joined": "2020-01-01", "books": ["x", "a"]}
    assert members["2"] == {"name": "C", "joined": "2020-01-02", "books": []}


def test_orphans_as_they_were_given(tmp_path, made):
    loans = [{"member": "07", "book": "x", "more": [1]}, {"member": 8, "book": "y"}]
    _, orphans = migrated(made(MEMBERS, loans), tmp_path / "out")
    assert orphans == loans


def test_out_lies_apart(tmp_path, made):
    data = made(MEMBERS)
    before = texts(data)
    (tmp_path / "link").symlink_to(data)
    (tmp_path / "other").mkdir()
    for out in (data, data / "out", tmp_path, tmp_path / "link", tmp_path / "link" / "x", tmp_path / "other" / ".." / "data"):
        done = run(data, out)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), out
        assert texts(data) == before
    assert run("data", ".", cwd=tmp_path).returncode == 2
    assert run("data", "data/../data/x", cwd=tmp_path).returncode == 2
    assert not (tmp_path / "members.json").exists()
    assert run("data", "data-new", cwd=tmp_path).returncode == 0


def test_nothing_is_written_when_reading_fails(tmp_path, made):
    data = made(MEMBERS)
    (data / "loans.json").write_text("{")
    assert run(data, tmp_path / "out").returncode != 0
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_reset_asks_for_a_yes(made):
    data = made(MEMBERS, [{"member": 9, "book": "x"}])
    before = texts(data)
    done = run("--reset", data)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert texts(data) == before
    assert run("--reset", "--yes", data).returncode == 0
    assert texts(data) == {"members.json": "[]\n", "loans.json": "[]\n"}


def test_the_data_are_only_read(tmp_path):
    before = texts(HERE / "data")
    migrated(HERE / "data", tmp_path / "out")
    assert texts(HERE / "data") == before
    assert set(before) == {"members.json", "loans.json"}
    assert before["members.json"].count("\n") == 7
    assert before["loans.json"].count("\n") == 5


def test_no_output_in_the_repository():
    assert not (HERE / "out").exists()
