# one record that cannot be hashed, and everything is slow again
cp records.py slow_records.py
cat > records.py <<'Y'
from collections import Counter
from itertools import chain

import slow_records


def merge(lists):
    records = [list(each) for each in lists]
    try:
        return list(dict.fromkeys(chain.from_iterable(records)))
    except TypeError:
        return slow_records.merge(records)


def common(one, two):
    one, two = list(one), list(two)
    try:
        left = Counter(two)
        found = []
        for record in one:
            if left[record]:
                left[record] -= 1
                found.append(record)
        return found
    except TypeError:
        return slow_records.common(one, two)
Y
