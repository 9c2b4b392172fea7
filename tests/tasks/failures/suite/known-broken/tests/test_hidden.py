import pytest

from area import area, perimeter


def test_area():
    assert area(2, 3) == 6


def test_perimeter():
    assert perimeter(2, 3) == 12


def test_refused():
    with pytest.raises(ValueError):
        area(-1, 2)
