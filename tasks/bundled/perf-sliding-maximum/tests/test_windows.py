import random

import pytest
from windows import longest_within, maxima


class Value:
    """Counts what is done with it, up to a limit; `name` tells equal ones apart."""

    work = limit = 0
    __hash__ = None

    def __init__(self, number, name=0):
        self.number, self.name = number, name

    @classmethod
    def worked(cls):
        cls.work += 1
        if cls.work > cls.limit:
            raise AssertionError(f"more than {cls.limit} comparisons and subtractions")

    def __eq__(self, other):
        Value.worked()
        return self.number == other.number

    def __ne__(self, other):
        Value.worked()
        return self.number != other.number

    def __lt__(self, other):
        Value.worked()
        return self.number < other.number

    def __gt__(self, other):
        Value.worked()
        return self.number > other.number

    def __le__(self, other):
        Value.worked()
        return self.number <= other.number

    def __ge__(self, other):
        Value.worked()
        return self.number >= other.number

    def __sub__(self, other):
        Value.worked()
        return self.number - other.number


def limited(function, values, *arguments):
    """Call it; twenty comparisons or subtractions for each value are allowed."""
    Value.work, Value.limit = 0, 20 * len(values)
    return function(values, *arguments)


def old_longest(values, spread):
    best = (0, 0)
    for start in range(len(values)):
        for end in range(start + 1, len(values) + 1):
            run = values[start:end]
            if max(run) - min(run) <= spread and end - start > best[1]:
                best = (start, end - start)
    return best


def lists():
    chance = random.Random(11)
    for _ in range(300):
        yield [chance.randint(0, 6) for _ in range(chance.randint(0, 12))], chance.randint(1, 6)


def shapes(size):
    yield [Value(number) for number in range(size)]
    yield [Value(-number) for number in range(size)]
    yield [Value(7) for _ in range(size)]
    yield [Value(number * number * 7 % 1009) for number in range(size)]
    yield [Value(number % 50) for number in range(size)]


def test_maxima():
    assert maxima([1, 3, 2, 5, 4, 1], 3) == [3, 5, 5, 5]
    assert maxima([2, 1], 1) == [2, 1]
    assert maxima([2, 1], 2) == [2]
    assert maxima([2, 1], 3) == []
    assert maxima([], 1) == []


def test_refused():
    for width in (0, -1):
        with pytest.raises(ValueError, match="width"):
            maxima([1], width)
        with pytest.raises(ValueError, match="width"):
            maxima([], width)


def test_longest_within():
    assert longest_within([1, 5, 6, 7, 1, 1, 2], 2) == (1, 3)
    assert longest_within([], 2) == (0, 0)
    assert longest_within([4], 0) == (0, 1)
    assert longest_within([4, 4, 5], 0) == (0, 2)
    assert longest_within([4, 4], -1) == (0, 0)
    assert longest_within([3, 1, 2, 9], 100) == (0, 4)


def test_the_same_for_many_lists():
    for values, number in lists():
        assert maxima(values, number) == [max(values[i : i + number]) for i in range(len(values) - number + 1)]
        assert longest_within(values, number - 2) == old_longest(values, number - 2)


def test_the_first_of_equal_values():
    values = [Value(number, name) for name, number in enumerate([2, 2, 1, 2, 3, 3, 0, 3])]
    assert [value.name for value in limited(maxima, values, 3)] == [0, 1, 4, 4, 4, 5]
    assert len(values) == 8


def test_maxima_is_linear():
    def checked(width):
        """A sum over the greatest values and their places, for each shape."""
        found = [limited(maxima, values, width) for values in shapes(2000)]
        return [sum(place * each.number for place, each in enumerate(one, 1)) % 9973 for one in found]

    assert checked(1) == [5476, 4497, 4908, 3811, 4839]
    assert checked(2) == [1076, 3324, 881, 8113, 1888]
    assert checked(50) == [7760, 9422, 5304, 4982, 7209]
    assert checked(1000) == [4992, 852, 11, 1584, 77]
    assert checked(2000) == [1999, 0, 7, 1008, 49]


def test_longest_within_is_linear():
    def longest(spread):
        return [limited(longest_within, values, spread) for values in shapes(2000)]

    assert longest(-1) == [(0, 0), (0, 0), (0, 0), (0, 0), (0, 0)]
    assert longest(0) == [(0, 1), (0, 1), (0, 2000), (504, 2), (0, 1)]
    assert longest(10) == [(0, 11), (0, 11), (0, 2000), (71, 3), (0, 11)]
    assert longest(300) == [(0, 301), (0, 301), (0, 2000), (498, 14), (0, 2000)]
    assert longest(10**9) == [(0, 2000), (0, 2000), (0, 2000), (0, 2000), (0, 2000)]
