"""Where sessions are kept."""

from __future__ import annotations

from pathlib import Path

from agent.store import Store


def test_sessions_that_begin_in_one_second_have_a_folder_each(tmp_path: Path) -> None:
    store = Store(tmp_path)
    made = [store.create().path for _ in range(2000)]
    assert len(set(made)) == 2000
