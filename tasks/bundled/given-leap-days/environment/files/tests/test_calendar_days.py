from calendar_days import days_in_month, is_leap


def test_every_four_hundred_years():
    assert is_leap(2000)


def test_february():
    assert days_in_month(2000, 2) == 29
    assert days_in_month(2023, 2) == 28
