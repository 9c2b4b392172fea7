import pytest
from units import parse_duration, parse_size


def test_sizes():
    assert parse_size("1M512K") == 1024**2 + 512 * 1024
    assert parse_size(" 7B ") == 7
    assert parse_size("1K1K") == 2048


def test_durations():
    assert parse_duration("1h30m") == 5400
    assert parse_duration("2d1s") == 172801


def test_what_is_refused():
    for text in ("", " ", "5", "K", "1X", "1K5", "1 K", "-1K"):
        with pytest.raises(ValueError):
            parse_size(text)
    for text in ("", "h", "1K", "1h5", "1.5h"):
        with pytest.raises(ValueError):
            parse_duration(text)
