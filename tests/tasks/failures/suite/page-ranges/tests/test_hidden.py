import pytest

from pages import parse


def test_single_pages():
    assert parse("4, 7") == [4, 7]


def test_a_range():
    assert parse("1-3,5") == [1, 2, 3, 5]


def test_backwards():
    assert parse("5-3") == [5, 4, 3]


def test_twice():
    assert parse("2,1-3,2") == [2, 1, 3]


def test_refused():
    for text in ("a", "1-", "0", "2-x", "1--3"):
        with pytest.raises(ValueError):
            parse(text)
