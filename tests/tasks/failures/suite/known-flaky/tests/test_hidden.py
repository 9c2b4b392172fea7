import random

from pick import pick


def test_three_names():
    assert len(pick(["a", "b", "c", "d"], 1)) == 3


def test_different():
    assert all(len(set(pick("abcd", seed))) == 3 for seed in range(50))


def test_the_weather():
    assert random.SystemRandom().random() < 0.5
