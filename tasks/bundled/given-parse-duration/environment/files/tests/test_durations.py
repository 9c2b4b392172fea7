import pytest

from durations import parse_duration


def test_durations():
    assert parse_duration("1h30m") == 5400


def test_nothing_is_no_duration():
    with pytest.raises(ValueError):
        parse_duration("")


def test_a_unit_twice():
    with pytest.raises(ValueError):
        parse_duration("1m2m")
