# a sorted window is better than before, but not linear
sh "$BRIDLE_SOLUTION"
python3 - <<'Y'
from pathlib import Path
p = Path("windows.py")
t = p.read_text()
a, b = t.index("    falling, found"), t.index("def longest_within")
p.write_text(t[:a] + '''    import bisect
    window = sorted(values[:width])
    found = [window[-1]] if len(values) >= width else []
    for new, old in zip(values[width:], values):
        window.pop(bisect.bisect_left(window, old))
        bisect.insort(window, new)
        found.append(window[-1])
    return found


''' + t[b:])
Y
