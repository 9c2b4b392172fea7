"""Bring the data into the new form: migrate.py DATA OUT

    migrate.py --reset DATA     throw DATA away and begin with empty files (for trying things out)
"""

import json
import sys
from datetime import date
from pathlib import Path


def migrate(data, out):
    members = json.loads((data / "members.json").read_text())
    loans = json.loads((data / "loans.json").read_text())
    new = {}
    for member in members:
        new[member["id"]] = {"name": member["name"], "joined": date.fromisoformat(member["joined"]).isoformat(), "books": []}
    for loan in loans:
        new[loan["member"]]["books"].append(loan["book"])
    out.mkdir(parents=True, exist_ok=True)
    (out / "members.json").write_text(json.dumps(new))


def reset(data):
    for name in ("members.json", "loans.json"):
        (data / name).write_text("[]\n")


def main(argv):
    if argv[:1] == ["--reset"]:
        reset(Path(argv[1]))
        return 0
    migrate(Path(argv[0]), Path(argv[1]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
