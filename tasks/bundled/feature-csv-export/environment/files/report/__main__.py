"""Print the records of a JSON file."""

import argparse
import json
from pathlib import Path

from report.text import to_text


def main(argv=None):
    parser = argparse.ArgumentParser(prog="report", description=__doc__)
    parser.add_argument("file", type=Path)
    given = parser.parse_args(argv)
    print(to_text(json.loads(given.file.read_text())), end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
