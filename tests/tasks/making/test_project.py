"""What bugs are put into, taken in as data with its tests told apart; and what is left of the tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.project import git, make_project

from agent.outcomes import UsageProblem
from tasks.making.package import is_package, newest
from tasks.making.project import from_folder, is_test, pytest_settings
from tasks.making.storing import acceptable, without_tests
from tasks.packages.simple_index import File

FILES = {
    "src/lib.py": "x = 1\n",
    "src/deep/more.py": "y = 1\n",
    "tests/test_lib.py": "def test(): pass\n",
    "tests/data/table.csv": "a\n",
    "setup.py": "raise SystemExit\n",
    "build/lib/lib.py": "x = 1\n",
}


def test_a_repository_is_taken_with_its_uncommitted_changes_and_stays_as_it_is(tmp_path: Path) -> None:
    root = make_project(tmp_path / "mine", FILES)
    (root / "src" / "lib.py").write_text("x = 2\n")
    before = git(root, "status", "--porcelain")
    project = from_folder(root)
    assert project.files["src/lib.py"] == b"x = 2\n"
    assert "build/lib/lib.py" not in project.files
    assert [path for path in project.files if project.may_change(path)] == ["src/deep/more.py", "src/lib.py"]
    assert set(project.kit) == {"pytest.ini", "tests/test_lib.py", "tests/data/table.csv"}
    assert (project.origin.kind, project.origin.version) == ("repository", git(root, "rev-parse", "HEAD"))
    assert git(root, "status", "--porcelain") == before


def test_a_folder_inside_a_repository_says_where_bugs_go(tmp_path: Path) -> None:
    root = make_project(tmp_path / "mine", FILES)
    project = from_folder(root / "src" / "deep")
    assert [path for path in project.files if project.may_change(path)] == ["src/deep/more.py"]
    assert "tests/test_lib.py" in project.kit
    chosen = from_folder(root, ["src/*.py"])
    assert [path for path in chosen.files if chosen.may_change(path)] == ["src/lib.py"]


def test_a_folder_that_is_no_repository_is_taken_as_it_lies(tmp_path: Path) -> None:
    (tmp_path / "plain" / "tests").mkdir(parents=True)
    (tmp_path / "plain" / "it.py").write_text("x = 1\n")
    (tmp_path / "plain" / "link.py").symlink_to("it.py")
    first, again = from_folder(tmp_path / "plain"), from_folder(tmp_path / "plain")
    assert set(first.files) == {"it.py"}
    assert first.origin == again.origin
    assert first.origin.kind == "folder"
    assert any("link.py is a symlink" in note for note in first.notes)
    assert not (tmp_path / "plain" / ".git").exists()
    with pytest.raises(UsageProblem, match="is no folder"):
        from_folder(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("path", "test"),
    [("tests/a.txt", True), ("lib/test/x.py", True), ("test_a.py", True), ("a_test.py", True),
     ("conftest.py", True), ("lib/testing.py", False), ("latest/a.py", False), ("test_a.txt", False)],
)  # fmt: skip
def test_what_is_a_test(path: str, test: bool) -> None:
    assert is_test(path) is test


def test_settings_that_say_what_tests_are_come_along_and_no_others() -> None:
    toml = b"[tool.pytest.ini_options]\naddopts = '-n 4'\nmarkers = ['slow: is slow', 'b']\nxfail_strict = true\n"
    assert pytest_settings({"pyproject.toml": toml}) == (
        b"[pytest]\nmarkers =\n    slow: is slow\n    b\nxfail_strict = True\n"
    )
    own = {"pytest.ini": b"[pytest]\npython_files = check_*.py\naddopts = -x\n", "pyproject.toml": toml}
    assert pytest_settings(own) == b"[pytest]\npython_files = check_*.py\n"
    assert pytest_settings({"pyproject.toml": b"[tool", "setup.cfg": b"\xff"}) == b"[pytest]\n"


def test_failing_tests_are_cut_out_and_the_rest_still_parses() -> None:
    source = (
        "import pytest\n\n\n@pytest.mark.parametrize('a', [1, 2])\ndef test_one(a):\n    pass\n\n\n"
        "class TestIt:\n    def test_two(self):\n        pass\n\n\nclass TestMore:\n"
        "    def test_two(self):\n        pass\n\n    def test_three(self):\n        pass\n"
    )
    files = {"t.py": source.encode(), "u.py": b"class Base: ...\n", "v.py": b"def test_v(): ...\n"}
    left = without_tests(files, ["t.py::test_one[1]", "t.py::TestIt::test_two", "u.py::Test::test_inherited"])
    assert set(left) == {"t.py", "u.py"}
    assert left["t.py"] == (
        b"import pytest\n\n\n\n\nclass TestIt:\n    pass\n\n\nclass TestMore:\n\n"
        b"    def test_three(self):\n        pass\n"
    )
    assert left["u.py"] == b"\0gone"


def test_ids_that_a_task_can_expect() -> None:
    assert acceptable("tests/test_a.py::T::test[a-b]")
    assert not acceptable("no id")
    assert not acceptable("tests/test_a.py::test['quoted']")


def test_the_newest_final_version_is_taken() -> None:
    names = [
        "Some_Lib-1.9.tar.gz",
        "some-lib-1.10.tar.gz",
        "some-lib-2.0rc1.tar.gz",
        "some_lib-3.0-py3-none-any.whl",
    ]
    files = [File(name, f"http://x/{name}", None) for name in names]
    assert newest(files, "some.lib")[0] == "1.10"
    assert newest(files, "some.lib", "2.0rc1")[1].filename == "some-lib-2.0rc1.tar.gz"
    with pytest.raises(ValueError, match=r"no source archive of some\.lib 4"):
        newest(files, "some.lib", "4")
    assert is_package("some-lib==1.0")
    assert not is_package("some lib")
