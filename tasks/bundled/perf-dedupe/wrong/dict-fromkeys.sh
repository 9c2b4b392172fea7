cat > records.py <<'Y'
from collections import Counter
from itertools import chain


def merge(lists):
    return list(dict.fromkeys(chain.from_iterable(lists)))


def common(one, two):
    left = Counter(two)
    found = []
    for record in one:
        if left[record]:
            left[record] -= 1
            found.append(record)
    return found
Y
