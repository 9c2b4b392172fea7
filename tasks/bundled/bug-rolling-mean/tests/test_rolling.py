import pytest
from rolling import rolling_mean


def test_each_window():
    assert rolling_mean([1, 2, 3, 4], 2) == [1.5, 2.5, 3.5]


def test_the_window_is_the_whole_list():
    assert rolling_mean([2, 4], 2) == [3.0]


def test_a_window_longer_than_the_list():
    assert rolling_mean([1, 2], 5) == []
    assert rolling_mean([1, 2, 3], 1) == [1.0, 2.0, 3.0]


def test_a_window_below_one_is_refused():
    with pytest.raises(ValueError):
        rolling_mean([1, 2], 0)
