"""Tasks from releases: made whole from a package index on the loopback device, once, and proven."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from support.package_index import Start, pages, source_archive
from support.project import bridle

import tasks
from agent.outcomes import UsageProblem
from sandboxes.docker.backend import DockerBackend
from tasks.environments.allowed import Allowed
from tasks.format.task import load_task
from tasks.packages import fetched
from tasks.packages.fetched import find_made, make
from tasks.packages.index import find_index
from tasks.packages.suites import Selection, choose, list_suite
from tasks.packages.tables import markdown_table
from tasks.runs.copies import copies

from .conftest import ALL, BROKEN, TASK, Served, write_task

BUNDLED = Path(tasks.__file__).parent / "bundled"
FREE = {"MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "PSF-2.0"}


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for several tests: what is fetched is the same."""
    return tmp_path_factory.mktemp("cache")


def made(suite: Path, served: Served, name: str = "thing-total") -> Path:
    return make(suite / name, find_index(served.url))


def test_a_task_is_the_broken_release_with_the_fixed_ones_tests_and_files(suite: Path, served: Served) -> None:
    task = load_task(made(suite, served))
    names = {path.relative_to(task.files).as_posix() for path in task.files.rglob("*") if path.is_file()}
    code = {"src/thing/__init__.py", "src/thing/sums.py", "src/thing/old.py", "tests/test_thing.py"}
    assert names == {*code, "helper.py"}
    assert "values[1:]" in (task.files / "src/thing/sums.py").read_text()
    assert "assert True" in (task.files / "tests/test_thing.py").read_text()
    assert [path.name for path in (task.folder / "tests").iterdir()] == ["test_thing.py"]
    assert "TotalTest" in (task.folder / "tests/test_thing.py").read_text()
    assert "plus(values)" in (task.folder / "solution/files/src/thing/sums.py").read_text()
    assert (task.folder / "solution/removed").read_text() == "src/thing/old.py\n"
    assert task.name == "thing-total"


@pytest.mark.docker
@pytest.mark.usefixtures("engine")
def test_a_made_task_is_one_that_can_be_believed(suite: Path, served: Served) -> None:
    done = bridle("suite", "fetch", str(suite), "--index", served.url)
    assert (done.code, done.out) == (0, "1 fetched, 0 already there\n"), done.err
    checked = bridle("suite", "check", str(suite), seconds=300)
    assert (checked.code, checked.out) == (0, "ok  thing-total\n"), checked.err


@pytest.mark.docker
@pytest.mark.usefixtures("engine")
def test_a_copy_of_the_library_in_the_sandbox_is_noted(suite: Path, served: Served, tmp_path: Path) -> None:
    task = load_task(made(suite, served))
    assert asyncio.run(copies(task, DockerBackend(), tmp_path / "one", Allowed())) == []
    known = task.file.bridle.model_copy(update={"locations": ("src/json/decoder.py", "nowhere.py")})
    task = replace(task, file=task.file.model_copy(update={"bridle": known}))
    (note,) = asyncio.run(copies(task, DockerBackend(), tmp_path / "two", Allowed()))
    assert note.startswith("the sandbox has json of its own (/")


def test_nothing_is_fetched_twice_and_what_was_damaged_is_fetched_again(suite: Path, served: Served) -> None:
    fetch = ("suite", "fetch", str(suite), "--index", served.url, "--json")
    assert bridle(*fetch).report == {"fetched": ["thing-total"], "there": []}
    asked = len(served.asked)
    assert bridle(*fetch).report == {"fetched": [], "there": ["thing-total"]}
    assert len(served.asked) == asked
    whole = find_made(suite / "thing-total")
    assert whole is not None
    (whole / "tests" / "test_thing.py").write_text("def test(): pass\n")
    assert find_made(suite / "thing-total") is None
    for archive in fetched.cache_folder().glob("*.*"):
        archive.write_bytes(b"damaged")
    assert bridle(*fetch).report["fetched"] == ["thing-total"]
    assert "TotalTest" in (whole / "tests" / "test_thing.py").read_text()
    assert len([path for path in served.asked if path.startswith("/files/")]) == 6


def test_what_the_folder_has_is_added_and_an_edit_makes_another_task(suite: Path, served: Served) -> None:
    first = made(suite, served)
    (suite / "thing-total" / "tests").mkdir()
    (suite / "thing-total" / "tests" / "pytest.ini").write_text("[pytest]\nmarkers = slow\n")
    assert find_made(suite / "thing-total") is None
    second = made(suite, served)
    assert second != first
    assert {path.name for path in (second / "tests").iterdir()} == {"pytest.ini", "test_thing.py"}


def test_what_is_not_fetched_is_told_in_one_line(suite: Path, tmp_path: Path) -> None:
    done = bridle("suite", "run", str(suite), "--agent", "nop", "--out", str(tmp_path / "out"))
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert f"the files of 1 task of {suite} are not fetched yet: `bridle suite fetch {suite}`" in done.err
    listed = bridle("suite", "list", str(suite), "--json").report
    assert listed == [
        {
            "name": "thing-total",
            "category": "bug-fix",
            "difficulty": "easy",
            "split": "public",
            "date": "2026-01-02",
            "fetched": False,
        }
    ]
    with pytest.raises(UsageProblem, match="its files come from a package index"):
        load_task(suite / "thing-total")


def test_without_a_network_it_is_one_sentence(suite: Path) -> None:
    done = bridle("suite", "fetch", str(suite), "--index", "http://127.0.0.1:1/")
    assert done.code == 2
    last = done.err.splitlines()[-1]
    assert "thing cannot be fetched from the package index http://127.0.0.1:1/" in last
    assert list(fetched.cache_folder().glob("*")) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('"/src/", "/tests/"', '"/nothing/"'), "bridle.source.take"),
        (('paths = ["test_thing.py"]', 'paths = ["test_none.py"]'), "bridle.source.tests"),
        (
            ("src/thing/old.py", "src/thing/never.py"),
            "bridle.source.solution: thing 1.1 has no src/thing/never.py",
        ),
        (('protected = ["/helper.py"]', ""), "helper.py of a wheel has to be in bridle.protected"),
        (('"/src/", "/tests/"', '"/src/"'), ""),
        (("TotalTest::test_total", "TotalTest::test_totals"), ""),
        (('package = "thing"', 'package = "../thing"'), "package"),
        (('root = "tests"', 'root = "../tests"'), "no path inside"),
        (('license = "MIT"\n', ""), "license"),
    ],
)
def test_a_wrong_task_names_the_field(
    tmp_path: Path,
    shared_cache: Path,
    served: Served,
    monkeypatch: pytest.MonkeyPatch,
    change: tuple[str, str],
    words: str,
) -> None:
    monkeypatch.setenv("BRIDLE_CACHE_DIR", str(shared_cache))
    folder = write_task(tmp_path / "suite" / "t", TASK.replace(*change))
    if not words:
        make(folder, find_index(served.url))
        return
    with pytest.raises(UsageProblem) as problem:
        make(folder, find_index(served.url))
    assert words in str(problem.value)
    assert not list(shared_cache.glob("**/*.part"))


def test_an_archive_that_leads_outside_makes_no_task(
    tmp_path: Path, index: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDLE_CACHE_DIR", str(tmp_path / "cache"))
    from support.package_index import sha

    evil = source_archive({"src/../../../outside.py": "x"})
    served = {**ALL, **pages({"thing": {"thing-1.0.tar.gz": evil, "thing-1.1.tar.gz": evil}})}
    toml = TASK.replace(sha(BROKEN), sha(evil)).replace(TASK.split('"1.1", sha256 = "')[1][:64], sha(evil))
    folder = write_task(tmp_path / "suite" / "t", toml)
    with pytest.raises(UsageProblem, match="leads outside"):
        make(folder, find_index(index(served)[0]))
    assert not list(tmp_path.rglob("outside.py"))


def test_a_wheel_that_is_not_the_right_one_is_refused(
    tmp_path: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDLE_CACHE_DIR", str(tmp_path / "cache"))
    right = TASK.split('"helper", version = "1.0", sha256 = "')[1][:64]
    folder = write_task(tmp_path / "suite" / "t", TASK.replace(right, "0" * 64))
    with pytest.raises(UsageProblem, match=r"the wheel of helper 1\.0 cannot be fetched"):
        make(folder, find_index(served.url))


def test_tasks_are_chosen_by_what_they_are(tmp_path: Path) -> None:
    for number, (kind, level, split) in enumerate(
        [("bug-fix", "easy", "public"), ("data", "hard", "public"), ("data", "easy", "private")]
    ):
        toml = f'[bridle]\ncategory = "{kind}"\ndifficulty = "{level}"\nsplit = "{split}"\n'
        write_task(tmp_path / f"task-{number}", toml)
    listed = list_suite(tmp_path)

    def names(suite: Path = tmp_path, **wanted: object) -> str:
        chosen = choose(listed, Selection.model_validate(wanted), suite)
        return "".join(each.name[-1] for each in chosen)

    assert (names(), names(Path("bundled")), names(Path("bundled"), split="all")) == ("012", "01", "012")
    assert (names(split="private"), names(categories=["data"]), names(difficulties=["easy"])) == ("2", "12", "02")
    assert (names(names=["task-[01]"]), names(names=["task-0", "*-2"])) == ("01", "02")
    assert names(sample=2, seed=1) == names(sample=2, seed=1)
    assert {names(sample=1, seed=seed) for seed in range(20)} == {"0", "1", "2"}
    assert names(sample=9) == "012"
    with pytest.raises(UsageProblem, match="has no task other"):
        names(names=["other"])
    with pytest.raises(UsageProblem, match=r"no task of .* is wanted"):
        names(split="private", difficulties=["hard"])


def test_the_bundled_suite_is_as_its_page_says() -> None:
    listed = list_suite(BUNDLED)
    page = (Path(tasks.__file__).parents[1] / "docs" / "bundled.md").read_text()
    assert markdown_table(listed) in page, (
        "bridle suite list bundled --markdown prints the table for docs/bundled.md"
    )
    releases = [each for each in listed if each.file.bridle.source is not None]
    packages = {each.file.bridle.source.package for each in releases if each.file.bridle.source is not None}
    assert len(releases) >= 18
    assert len(packages) >= 12
    for each in releases:
        table = each.file.bridle
        assert table.source is not None
        assert table.source.license in FREE, each.name
        assert table.date is not None, each.name
        assert set(table.expected) > set(table.regression), each.name
        words = (each.folder / "instruction.md").read_text()
        assert table.source.fixed.version not in words, each.name
        assert {path.name for path in each.folder.iterdir()} <= {"task.toml", "instruction.md", "tests", "wrong"}


@pytest.mark.docker
@pytest.mark.usefixtures("engine")
def test_a_real_release_pair_is_fetched_and_proven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDLE_CACHE_DIR", str(tmp_path / "cache"))
    done = bridle("suite", "fetch", "bundled", "--task", "toolz-interpose-empty", seconds=200)
    assert done.code == 0, done.err
    checked = bridle("suite", "check", "bundled", "--task", "toolz-interpose-empty", seconds=300)
    assert (checked.code, checked.out) == (0, "ok  toolz-interpose-empty\n"), checked.err
