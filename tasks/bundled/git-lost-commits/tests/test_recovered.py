import shutil
from pathlib import Path

import pytest
from streams import files, git, log, repository

NOW = "124e7e4"
LOST = ("6defedd", "992ebb0")


@pytest.fixture
def before(tmp_path):
    folder = tmp_path / "before.git"
    shutil.copytree(Path(__file__).parent / "shop.git", folder)
    (folder / "refs" / "tags").mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def after(tmp_path):
    return repository(tmp_path / "after.git", "recovered.fe")


def test_what_there_is_stays(before, after):
    hashes = log(before, "main", "%H")
    assert log(after, "main", "%H")[: len(hashes)] == hashes
    assert git(after, "for-each-ref", "--format=%(refname)").split() == ["refs/heads/main"]


def test_the_lost_commits_are_on_top(before, after):
    form = "%an %ae %at %B"
    wanted = [git(before, "log", "-1", f"--format={form}", commit) for commit in LOST]
    found = [git(after, "log", "-1", f"--format={form}", commit) for commit in ("main~1", "main")]
    assert found == wanted
    assert len(log(after, "main", "%H")) == len(log(before, "main", "%H")) + 2


def test_one_line_of_history(after):
    assert all(len(line.split()) <= 1 for line in log(after, "main", "%P"))


def test_each_has_its_own_change(before, after):
    def change(folder, commit):
        return git(folder, "diff", f"{commit}~1", commit)

    assert change(after, "main~1") == change(before, LOST[0])
    assert change(after, "main") == change(before, LOST[1])


def test_all_the_files(after, tmp_path):
    folder = files(after, "main", tmp_path / "files")
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert names == ["LICENSE", "README.md", "shop/prices.py", "shop/total.py"]
    assert '"cup": 750' in (folder / "shop/prices.py").read_text()
    assert "Run it with Python." in (folder / "README.md").read_text()


def test_the_repository_keeps_its_refs():
    assert (Path("shop.git") / "refs/heads/main").read_text().startswith(NOW)
    heads = [path.name for path in Path("shop.git/refs").rglob("*") if path.is_file()]
    assert heads == ["main"]
