"""What killed processes leave on disk is removed; what is held, or can still be used, is not."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.housekeeping import drop_session, finished_sessions, sweep_files
from agent.journal import Delivered, Journal, SessionEnded, SessionStarted
from agent.outcomes import Outcome
from agent.scratch import scratch_folder
from agent.store import SessionFolder, Store

OLD = time.time() - 3600


@pytest.fixture
def store(own_state: Path) -> Store:
    return Store()


def begin(store: Store, *, delivered: bool = False, ended: bool = False) -> SessionFolder:
    """A session that no process works on."""
    folder = store.create()
    os.close(folder.lock())
    journal = Journal(folder.journal)
    journal.append(SessionStarted(session=folder.id, version="1", task="t", repository="/r", options={}))
    if delivered:
        journal.append(Delivered(branch="bridle/t", commit="0" * 40))
    if ended:
        outcome = Outcome.DONE if delivered else Outcome.BUDGET
        journal.append(SessionEnded(outcome=outcome, detail="", resumable=not delivered))
    journal.close()
    return folder


def fill(folder: SessionFolder) -> None:
    """Everything that a process killed in mid-work can leave."""
    for name in ("workspace.part", "base.part", "base.tar.partial", "patch.diff.partial", "result.tar"):
        (folder.path / name).write_bytes(bytes(1000))
    (folder.path / ".workspace.tar.0123.tmp").write_bytes(bytes(1000))
    (folder.path / "changes").mkdir()
    (folder.path / "changes" / "partial").write_bytes(bytes(1000))
    for name in ("base.tar", "base.json", "workspace.tar", "patch.diff", "error.txt"):
        (folder.path / name).write_bytes(b"kept")


KEPT = ["base.json", "base.tar", "error.txt", "journal.jsonl", "lock", "patch.diff", "workspace.tar"]


def names(folder: SessionFolder) -> list[str]:
    return sorted(path.name for path in folder.path.iterdir())


def test_half_written_files_go_and_what_a_session_needs_stays(store: Store) -> None:
    folder = begin(store)
    fill(folder)
    before = names(folder)
    would = sweep_files(store, dry_run=True, thorough=True)
    assert names(folder) == before
    swept = sweep_files(store, thorough=True)
    assert names(folder) == KEPT
    assert swept.gone == would.gone
    assert swept.size == 7000
    assert sweep_files(store, thorough=True).gone == []


def test_a_session_that_is_being_worked_on_is_not_touched(store: Store) -> None:
    folder = begin(store)
    fill(folder)
    lock = folder.lock()
    with (folder.path / ".workspace.tar.0123.tmp").open("rb") as being_written:
        fcntl.flock(being_written, fcntl.LOCK_EX)
        before = names(folder)
        assert sweep_files(store, thorough=True).gone == []
        assert drop_session(folder) is None
        assert finished_sessions(store, 0, all_sessions=True) == []
        assert names(folder) == before
    os.close(lock)
    assert sweep_files(store).gone


def test_copies_of_what_is_delivered_go(store: Store) -> None:
    over, open_ = begin(store, delivered=True), begin(store, ended=True)
    fill(over)
    fill(open_)
    sweep_files(store)
    assert names(over) == KEPT
    sweep_files(store, thorough=True)
    assert names(over) == [name for name in KEPT if not name.endswith(".tar")]
    assert names(open_) == KEPT


def test_a_session_that_never_began_goes_once_it_is_certain(store: Store) -> None:
    folder = store.create()
    assert sweep_files(store).gone == []
    os.utime(folder.path, (OLD, OLD))
    assert [each.what for each in sweep_files(store).gone] == ["session that never began"]
    assert not folder.path.exists()


def test_a_damaged_journal_is_left_alone(store: Store) -> None:
    folder = begin(store)
    fill(folder)
    folder.journal.write_bytes(b"not a journal\n" * 3)
    sweep_files(store, thorough=True)
    assert names(folder) == KEPT
    assert store.wants(f"{folder.id}.w0")


def test_a_damaged_entry_does_not_stop_the_rest(store: Store) -> None:
    folder = begin(store)
    fill(folder)
    (store.sessions / "20200101-000000-0000").write_text("a file, where a folder belongs")
    swept = sweep_files(store)
    assert names(folder) == KEPT
    assert len(swept.problems) == 1


def test_links_are_removed_not_followed(store: Store, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    folder = begin(store)
    (folder.path / "changes").symlink_to(tmp_path / "mine")
    (folder.path / "x.part").symlink_to(tmp_path / "mine" / "file")
    sweep_files(store)
    assert names(folder) == ["journal.jsonl", "lock"]
    assert (tmp_path / "mine" / "file").read_text() == "mine"


def test_old_sessions_are_found_by_age_and_ending(store: Store) -> None:
    over, open_, young = begin(store, delivered=True), begin(store), begin(store, delivered=True)
    for folder in (over, open_):
        os.utime(folder.journal, (OLD, OLD))
    assert [f.id for f in finished_sessions(store, 0.01)] == [over.id]
    assert [f.id for f in finished_sessions(store, 0.01, all_sessions=True)] == sorted([over.id, open_.id])
    gone = drop_session(over, dry_run=True)
    assert gone is not None
    assert over.path.exists()
    drop_session(over)
    assert sorted(store.ids()) == sorted([open_.id, young.id])


def test_checkpoints_are_wanted_as_long_as_the_session_can_go_on(store: Store) -> None:
    open_, over = begin(store, ended=True), begin(store, delivered=True)
    assert store.wants(f"{open_.id}.w0")
    assert not store.wants(f"{over.id}.w0")
    lock = over.lock()
    assert store.wants(f"{over.id}.w0")
    os.close(lock)
    assert not store.wants("20200101-000000-0000.w0")
    assert not store.wants("../../etc")


def test_scratch_of_a_killed_process_is_removed_and_a_living_ones_is_not(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code = (
        "import sys\nfrom agent.scratch import scratch_folder\n"
        "with scratch_folder() as folder:\n    print(folder, flush=True)\n    sys.stdin.read()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert child.stdout is not None
    theirs = Path(child.stdout.readline().strip())
    (tmp_path / "bridle-of-the-user").mkdir()
    os.utime(tmp_path / "bridle-of-the-user", (OLD, OLD))
    with scratch_folder() as mine:
        for folder in (mine, theirs):
            os.utime(folder, (OLD, OLD))
        assert sweep_files(store).gone == []
        child.kill()
        child.wait()
        assert [each.name for each in sweep_files(store).gone] == [str(theirs)]
        assert mine.exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("bridle-")] == ["bridle-of-the-user"]
