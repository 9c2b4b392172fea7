"""python3 -m checks.run: builds the catalogue and checks it."""

from build import build
from checks.rules import problems


def main():
    found = problems(build("source"))
    for line in found:
        print(line)
    print("FAILED" if found else "ok")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
