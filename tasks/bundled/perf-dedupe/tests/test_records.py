import random

from records import common, merge


def old_merge(lists):
    merged = []
    for records in lists:
        for record in records:
            if record not in merged:
                merged.append(record)
    return merged


def old_common(one, two):
    left = list(two)
    found = []
    for record in one:
        if record in left:
            left.remove(record)
            found.append(record)
    return found


class Counted:
    """A record that counts what is asked of it."""

    asked = 0

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        Counted.asked += 1
        return isinstance(other, Counted) and self.value == other.value

    def __hash__(self):
        Counted.asked += 1
        return hash(self.value)


def work(function, *arguments):
    Counted.asked = 0
    function(*arguments)
    return Counted.asked


def same(found, wanted):
    assert len(found) == len(wanted)
    assert all(one is other for one, other in zip(found, wanted))


def test_merge():
    assert merge([[3, 1], [1, 2], [3]]) == [3, 1, 2]
    assert merge([]) == []
    assert merge(iter([iter("ab"), iter("bc")])) == ["a", "b", "c"]


def test_common():
    assert common([1, 2, 2, 3, 2], [2, 5, 2, 1]) == [1, 2, 2]
    assert common([], [1]) == []
    assert common(iter("abca"), iter("aac")) == ["a", "c", "a"]


def test_the_first_of_equal_records_is_kept():
    same(merge([[1, 2.0], [True, 2, 1.0]]), [1, 2.0])
    one, two = Counted(5), Counted(5)
    same(merge([[one], [two]]), [one])
    same(common([two], [one]), [two])


def test_records_that_cannot_be_hashed():
    assert merge([[[1], {"a": 1}], [[1], [2], {"a": 1}]]) == [[1], {"a": 1}, [2]]
    assert common([[1], [1], 1, {"a": 1}], [[1], {"a": 1}, 2, [1], [1]]) == [[1], [1], {"a": 1}]
    assert common([[1], [1], [1]], [[1], [1]]) == [[1], [1]]


def test_equal_across_kinds():
    assert merge([[{1}, frozenset([1]), frozenset([2]), {2}]]) == [{1}, frozenset([2])]
    assert common([{1}, frozenset([1]), {2}], [frozenset([1]), {2}, {1}]) == [{1}, frozenset([1]), {2}]


def test_the_arguments_stay():
    one, two = [1, [2], 2], [[2], 2, 2]
    common(one, two)
    merge([one, two])
    assert (one, two) == ([1, [2], 2], [[2], 2, 2])


def test_the_same_as_before_for_many_lists():
    chance = random.Random(3)
    kinds = [0, 1, 1.0, True, "1", (1,), [1], [0], {1}, frozenset([1]), frozenset(), None, {"a": [1]}]
    for _ in range(400):
        lists = [[chance.choice(kinds) for _ in range(chance.randint(0, 8))] for _ in range(3)]
        same(merge(lists), old_merge(lists))
        same(common(lists[0], lists[1]), old_common(lists[0], lists[1]))


def test_merge_is_linear():
    def lists(size):
        return [[Counted(number) for number in range(size)], [Counted(number) for number in range(size)]]

    assert work(merge, lists(600)) < 3 * work(merge, lists(300))
    assert work(merge, lists(600)) < 40 * 600


def test_common_is_linear():
    def pair(size):
        return [Counted(number) for number in range(size)], [Counted(number) for number in reversed(range(size))]

    assert work(common, *pair(600)) < 3 * work(common, *pair(300))
    assert work(common, *pair(600)) < 40 * 600


def test_some_that_cannot_be_hashed_do_not_slow_the_others():
    def records(size):
        return [[0], [1], *(Counted(number) for number in range(size)), [2]]

    assert work(merge, [records(600), records(600)]) < 40 * 600
    assert work(common, records(600), records(600)) < 40 * 600
