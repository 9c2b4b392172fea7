"""How long months are."""

LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def is_leap(year):
    """Whether a year of the Gregorian calendar has a 29th of February."""
    return year % 4 == 0 and year % 100 != 0


def days_in_month(year, month):
    """The days of a month, 1 to 12. Raises ValueError for another month."""
    if not 1 <= month <= 12:
        raise ValueError(f"there is no month {month}")
    if month == 2 and is_leap(year):
        return 29
    return LENGTHS[month - 1]
