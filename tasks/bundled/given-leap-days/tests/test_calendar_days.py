import pytest

from calendar_days import days_in_month, is_leap


def test_every_four_hundred_years():
    assert is_leap(2000)
    assert is_leap(1600)
    assert days_in_month(2400, 2) == 29


def test_centuries():
    assert not is_leap(1900)
    assert not is_leap(2100)
    assert days_in_month(1900, 2) == 28


def test_ordinary_years():
    assert is_leap(2024)
    assert not is_leap(2023)
    assert days_in_month(2024, 2) == 29


def test_other_months():
    assert [days_in_month(2000, month) for month in (1, 4, 12)] == [31, 30, 31]


def test_no_such_month():
    for month in (0, 13):
        with pytest.raises(ValueError):
            days_in_month(2000, month)
