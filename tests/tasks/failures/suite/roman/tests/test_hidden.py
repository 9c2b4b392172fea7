import pytest

import roman


def test_sums():
    assert roman.to_roman(1666) == "MDCLXVI"


def test_differences():
    assert [roman.to_roman(n) for n in (4, 9, 40, 944)] == ["IV", "IX", "XL", "CMXLIV"]


def test_there_and_back():
    assert all(roman.from_roman(roman.to_roman(n)) == n for n in range(1, 4000))


def test_refused_texts():
    for text in ("IIII", "IC", "iv", "", "VX", "A"):
        with pytest.raises(ValueError):
            roman.from_roman(text)


def test_refused_numbers():
    for n in (0, -1, 4000):
        with pytest.raises(ValueError):
            roman.to_roman(n)
