from pathlib import Path

import pytest
from fees.fees import fee


def test_the_first_days_are_free():
    assert [fee(days) for days in range(6)] == [0, 0, 0, 0, 20, 40]


def test_the_limit():
    assert [fee(days) for days in (27, 28, 29, 400)] == [480, 500, 500, 500]


def test_children():
    assert [fee(days, child=True) for days in (0, 3, 4, 5, 28, 400)] == [0, 0, 10, 20, 250, 250]


def test_whole_numbers():
    assert all(type(fee(days, child)) is int for days in range(40) for child in (False, True))


def test_negative_days_are_refused():
    for child in (False, True):
        with pytest.raises(ValueError):
            fee(-1, child)


def test_nothing_else_is_there():
    assert Path("LICENSE").read_text() == "Anybody may use this for anything.\n"
    assert sorted(path.name for path in Path("docs").iterdir()) == ["rules.md"]
