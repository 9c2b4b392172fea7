from itertools import count, islice

from toolz import interpose


def test_between_nothing_and_something():
    found = [list(interpose("a", numbers)) for numbers in ([], [4], [4, 7], iter(()))]
    assert found == [[], [4], [4, "a", 7], []]


def test_between_what_does_not_end():
    assert list(islice(interpose(9, count(30)), 5)) == [30, 9, 31, 9, 32]
