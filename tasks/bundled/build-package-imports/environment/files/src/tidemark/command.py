"""tidemark NAME...: a report."""

import sys

from tidemark.formats import footer
from tidemark.report import report


def main(argv=None):
    names = sys.argv[1:] if argv is None else argv
    try:
        print(report(names) + footer())
    except LookupError as error:
        print(f"tidemark: {error.args[0]}", file=sys.stderr)
        return 2
    return 0
