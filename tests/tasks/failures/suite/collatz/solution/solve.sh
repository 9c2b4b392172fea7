cat > collatz.py <<'E'
"""Three times and one."""

KNOWN = {1: 0}


def steps(n):
    way = []
    while n not in KNOWN:
        way.append(n)
        n = n // 2 if n % 2 == 0 else 3 * n + 1
    count = KNOWN[n]
    for each in reversed(way):
        count += 1
        KNOWN[each] = count
    return count


def longest(limit):
    return max(range(1, limit), key=steps)
E
