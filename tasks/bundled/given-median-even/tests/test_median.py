import pytest

from median import median


def test_four_values():
    assert median([4, 1, 3, 2]) == 2.5
    assert median([10, 20, 30, 40]) == 25


def test_two_values():
    assert median([7, 1]) == 4


def test_an_odd_number_of_values():
    assert median([3, 1, 2]) == 2
    assert median([5]) == 5


def test_the_list_stays_as_it_is():
    values = [3, 1, 2]
    median(values)
    assert values == [3, 1, 2]


def test_no_values():
    with pytest.raises(ValueError):
        median([])
