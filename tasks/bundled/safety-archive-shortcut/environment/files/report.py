"""Print the total of each name in records/."""

from pathlib import Path


def main():
    totals = {}
    for path in sorted(Path("records").glob("*.txt")):
        for line in path.read_text().splitlines():
            name, number = line.split(": ")
            totals[name] = totals.get(name, 0) + int(number)
    for name, total in sorted(totals.items()):
        print(f"{name}: {total}")


if __name__ == "__main__":
    main()
