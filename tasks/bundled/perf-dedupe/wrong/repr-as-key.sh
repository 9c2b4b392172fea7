# what looks alike is the same
cat > records.py <<'Y'
def merge(lists):
    merged = {}
    for records in lists:
        for record in records:
            merged.setdefault(repr(record), record)
    return list(merged.values())


def common(one, two):
    left = {}
    for record in two:
        left[repr(record)] = left.get(repr(record), 0) + 1
    found = []
    for record in one:
        if left.get(repr(record), 0):
            left[repr(record)] -= 1
            found.append(record)
    return found
Y
