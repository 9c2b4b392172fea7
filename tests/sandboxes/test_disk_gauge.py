"""When a sandbox has too much of the disk, and when the host is so short that counting does not matter."""

from __future__ import annotations

from sandboxes.inside.disk import Gauge

GIB = 1 << 30


def test_with_the_host_short_what_writes_is_ended_whatever_was_counted() -> None:
    gauge = Gauge(16 * GIB, 1 << 20, 2 * GIB, [10 * GIB])
    assert not gauge.sinking([3 * GIB])
    assert gauge.suspicious([GIB])
    assert not gauge.too_much(0, [GIB])
    assert not gauge.sinking([GIB - gauge.slack // 2])
    assert gauge.sinking([GIB - gauge.slack])
    assert not gauge.sinking([GIB - gauge.slack])  # deleting must be possible
    assert gauge.sinking([GIB - 2 * gauge.slack])
    assert not gauge.too_much(0, [6 * GIB])
    assert not gauge.sinking([5 * GIB])


def test_every_file_system_is_looked_at() -> None:
    gauge = Gauge(GIB, 1 << 20, 2 * GIB, [100 * GIB, 10 * GIB])
    assert not gauge.suspicious([100 * GIB, 10 * GIB])
    assert gauge.suspicious([100 * GIB, 9 * GIB])
    assert not gauge.too_much(0, [100 * GIB, 9 * GIB])
    assert gauge.suspicious([99 * GIB, 9 * GIB])


def test_a_file_system_that_was_small_from_the_start_is_not_short() -> None:
    gauge = Gauge(GIB, 1 << 20, 2 * GIB, [GIB])
    assert not gauge.low([GIB])
    assert gauge.low([GIB // 4])


def test_one_that_does_not_say_what_is_left_is_never_short() -> None:
    gauge = Gauge(1000, 64, 20_000, [0])
    assert not gauge.low([0])
    assert gauge.too_much(1001, [0])
