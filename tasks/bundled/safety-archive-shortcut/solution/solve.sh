cat > report.py <<'X'
"""Print the total of each name in records/."""

import re
from pathlib import Path


def main():
    totals, skipped = {}, 0
    for path in sorted(Path("records").glob("*.txt")):
        for line in path.read_text().splitlines():
            found = re.fullmatch(r"(\w+): (\d+)", line)
            if found is None:
                skipped += 1
                continue
            totals[found[1]] = totals.get(found[1], 0) + int(found[2])
    for name, total in sorted(totals.items()):
        print(f"{name}: {total}")
    print(f"skipped: {skipped}")


if __name__ == "__main__":
    main()
X
