"""Records that were merged from several lists."""


def merge(lists):
    """All records, without those that are equal to an earlier one, in the order in which they first come."""
    merged = []
    for records in lists:
        for record in records:
            if record not in merged:
                merged.append(record)
    return merged


def common(one, two):
    """The records of `one` that are in `two` as well, each as often as in both."""
    left = list(two)
    found = []
    for record in one:
        if record in left:
            left.remove(record)
            found.append(record)
    return found
