"""Run a script: a command a line. Prints the text at the end.

    insert TEXT      erase COUNT      move PLACE      replace OLD NEW
"""

import sys

from editor.commands import Erase, Insert, Move, Replace
from editor.session import Session


def run(lines, session=None):
    session = session or Session()
    for line in lines:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "insert":
            session.do(Insert(rest))
        elif word == "erase":
            session.do(Erase(int(rest)))
        elif word == "move":
            session.do(Move(int(rest)))
        elif word == "replace":
            old, _, new = rest.partition(" ")
            session.do(Replace(old, new))
        elif word:
            raise ValueError(f"no command {word!r}")
    return session


if __name__ == "__main__":
    print(run(sys.stdin).text)
