"""Whether an owner lives: sure deaths are seen, everything unsure counts as alive."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.ownership import RUN_LABEL, Owner, is_dead, read_labels, start_time, this_owner


def test_labels_there_and_back() -> None:
    me = this_owner()
    assert me.pid == os.getpid()
    assert read_labels({**me.labels(), RUN_LABEL: "run 1"}) == ("run 1", me)
    assert all(isinstance(value, str) for value in me.labels().values())


@given(st.dictionaries(st.sampled_from([RUN_LABEL, *this_owner().labels()]), st.text(max_size=10)))
def test_any_labels_are_read_or_refused(labels: dict[str, str]) -> None:
    known = read_labels(labels)
    assert known is None or isinstance(known[1].pid, int)


def test_the_living_live() -> None:
    me = this_owner()
    assert not is_dead(me, me, local_engine=True)


def test_the_dead_are_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = replace(this_owner(), pid=child.pid, start=start_time(child.pid) or "")
    assert not is_dead(owner, this_owner(), local_engine=True)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_dead(owner, this_owner(), local_engine=True)  # its zombie is still there
    child.communicate()
    assert is_dead(owner, this_owner(), local_engine=True)


def test_the_same_number_with_another_start_is_another_process() -> None:
    me = this_owner()
    assert is_dead(replace(me, start=me.start + "1"), me, local_engine=True)


@pytest.mark.parametrize(
    ("change", "local", "dead"),
    [
        ({"machine": "elsewhere"}, True, False),
        ({"machine": ""}, True, False),
        ({"boot": "earlier"}, True, True),
        ({"boot": "earlier"}, False, False),
        ({"boot": ""}, True, False),
        ({"pids": "pid:[1]"}, True, False),
        ({"start": ""}, True, False),
        ({"pid": 0}, True, False),
        ({"pid": -1}, True, False),
        ({"pid": 1 << 40}, True, False),
        ({"pid": (1 << 31) - 1}, True, True),
    ],
)
def test_what_is_unsure_counts_as_alive(change: dict[str, object], local: bool, dead: bool) -> None:
    me = this_owner()
    owner: Owner = replace(me, **{"start": "1", "pid": 1 << 21, **change})  # type: ignore[arg-type]
    assert is_dead(owner, me, local_engine=local) is dead
