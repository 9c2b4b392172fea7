cat > records.py <<'Y'
"""Records that were merged from several lists."""


def merge(lists):
    """All records, without those that are equal to an earlier one, in the order in which they first come."""
    merged, seen, unhashable = [], {}, []  # a dict, since `{1} in set()` is no error
    for records in lists:
        for record in records:
            try:
                known = record in seen
            except TypeError:
                if record not in merged:
                    unhashable.append(record)
                    merged.append(record)
                continue
            if not known and record not in unhashable:
                seen[record] = None
                merged.append(record)
    return merged


def common(one, two):
    """The records of `one` that are in `two` as well, each as often as in both."""
    counts, unhashable, left = {}, [], []
    for record in two:
        left.append(record)
        try:
            counts[record] = counts.get(record, 0) + 1
        except TypeError:
            unhashable.append(record)
    return [record for record in one if _take(record, counts, unhashable)]


def _take(record, counts, unhashable):
    """Whether the record is left; then it is taken away."""
    try:
        if counts.get(record, 0):
            counts[record] -= 1
            return True
    except TypeError:
        equal = next((each for each, count in counts.items() if count and each == record), None)
        if equal is not None:
            counts[equal] -= 1
            return True
    if record in unhashable:
        unhashable.remove(record)
        return True
    return False
Y
python3 - <<'Y'
from pathlib import Path

path = Path("records.py")
text = path.read_text()
text = text.replace("counts, unhashable, left = {}, [], []", "counts, unhashable = {}, []").replace("        left.append(record)\n", "")
path.write_text(text)
Y
