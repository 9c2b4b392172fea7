"""convert KIND: converts standard input."""

import argparse
import sys

from convert.core import convert


def main(argv=None):
    parser = argparse.ArgumentParser(prog="convert", description=__doc__)
    parser.add_argument("kind")
    given = parser.parse_args(argv)
    try:
        sys.stdout.write(convert(given.kind, sys.stdin.read()))
    except LookupError as error:
        print(f"convert: {error.args[0]}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
