import time

from collatz import longest, steps


def test_longest():
    assert longest(30) == 27


def test_steps():
    assert [steps(n) for n in (1, 2, 3, 6, 27)] == [0, 1, 7, 8, 111]


def test_quick():
    before = time.monotonic()
    assert longest(100_000) == 77031
    assert time.monotonic() - before < 6
