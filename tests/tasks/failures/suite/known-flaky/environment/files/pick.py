import random


def pick(names, seed):
    chooser = random.Random(seed)
    return [chooser.choice(names) for _ in range(3)]
