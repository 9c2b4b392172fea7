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


def within(limit, function, *arguments):
    """What the records hold that a function gives, as short as it can be said; it may ask `limit` times."""
    Counted.asked = 0
    found = [each.value if isinstance(each, Counted) else each for each in function(*arguments)]
    asked, plain = Counted.asked, [each for each in found if isinstance(each, int)]
    assert asked < limit, f"{asked} comparisons and hashes"
    return len(found), sum(plain), sum(place * each for place, each in enumerate(plain)) % 99991


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


def records(size, seed):
    """Some of them are equal."""
    return [Counted((number * number + 31 * number * seed) % (size + seed)) for number in range(size)]


def test_merge_is_linear():
    assert within(40 * 600, merge, [records(300, 1), records(300, 2)]) == (204, 30450, 99915)
    assert within(40 * 1200, merge, [records(600, 3), records(600, 4)]) == (253, 77457, 48490)


def test_common_is_linear():
    assert within(40 * 300, common, records(300, 5), records(300, 6)) == (72, 12067, 46036)
    assert within(40 * 600, common, records(600, 7), records(600, 8)) == (67, 19789, 1964)


def test_some_that_cannot_be_hashed_do_not_slow_the_others():
    def mixed(seed):
        return [[0], [seed], *records(600, seed), [2]]

    assert within(40 * 1200, merge, [mixed(9), mixed(10)]) == (275, 80911, 63746)
    assert within(40 * 1200, common, mixed(11), mixed(12)) == (96, 28677, 58225)
