import pytest

from durations import parse_duration


def refused(text):
    with pytest.raises(ValueError):
        parse_duration(text)


def test_durations():
    assert parse_duration("1h30m") == 5400
    assert parse_duration("45s") == 45
    assert parse_duration("2h5s") == 7205


def test_nothing_is_no_duration():
    refused("")


def test_a_unit_twice():
    refused("1m2m")
    refused("1h2h3s")


def test_another_order():
    refused("3s1h")


def test_other_text():
    for text in ("5", "h", "1h ", "1d", "-1h"):
        refused(text)
