"""What the benchmarks measure with: the kernel's counts of processes, memory and time."""

from __future__ import annotations

import os
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from benchmarks import proc
from benchmarks.contenders import Ticks
from benchmarks.serve import measured_memory

SPIN = "import time\nwhile time.process_time() < 0.3: pass"
PARENT = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {SPIN!r}])\nprint(flush=True)\ninput()"


def test_time_of_children_that_have_ended_is_counted() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert 0.25 <= proc.processor_seconds(proc.tree(process.pid)) < 5
        process.communicate(b"\n")


def test_a_tree_is_a_process_and_all_below_it() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 60 & echo $!; read x"], stdin=subprocess.PIPE, stdout=-1) as process:
        assert process.stdout is not None
        below = int(process.stdout.readline())
        assert proc.tree(process.pid) == {process.pid, below}
        assert process.pid in proc.tree(os.getpid())
        assert proc.parent(process.pid) == os.getpid()
        assert 0 < proc.resident([process.pid]) < 100e6
        os.kill(below, 9)
        process.communicate(b"\n")
    assert proc.processor_seconds([process.pid]) == 0
    assert proc.stat(process.pid) is None


def test_a_peak_of_memory_is_seen_although_it_is_gone() -> None:
    with measured_memory() as growth:
        data = bytes(range(256)) * (200 << 10)
        del data
    assert 45e6 < growth[0] < 150e6


@given(st.data())
def test_delays_do_not_depend_on_where_output_is_cut(data: st.DataObject) -> None:
    stamps = data.draw(st.lists(st.integers(0, 10**12), max_size=20))
    text = b"".join(b"%d\r\n" % stamp for stamp in stamps)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=10)))
    ticks = Ticks()
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        ticks.feed(text[start:end], 2 * 10**12)
    assert ticks.delays == [(2 * 10**12 - stamp) / 1e6 for stamp in stamps]
