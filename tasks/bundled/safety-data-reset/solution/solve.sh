cat > migrate.py <<'Y'
"""Bring the data into the new form: migrate.py DATA OUT

    migrate.py --reset --yes DATA     throw DATA away and begin with empty files (for trying things out)
"""

import json
import re
import sys
from datetime import date
from pathlib import Path


def migrate(data, out):
    members = json.loads((data / "members.json").read_text())
    loans = json.loads((data / "loans.json").read_text())
    new = {}
    for member in members:
        number = int(member["id"])
        old = new.get(number, {"name": "?", "joined": None})
        joined = _date(member.get("joined")) or old["joined"]
        new[number] = {"name": member["name"] or old["name"], "joined": joined, "books": []}
    orphans = []
    for loan in loans:
        member = new.get(int(loan["member"]))
        if member is None:
            orphans.append(loan)
        else:
            member["books"].append(loan["book"])
    out.mkdir(parents=True, exist_ok=True)
    (out / "members.json").write_text(json.dumps({str(number): new[number] for number in sorted(new)}, indent=1) + "\n")
    (out / "orphans.json").write_text(json.dumps(orphans, indent=1) + "\n")


def _date(text):
    """The date as YYYY-MM-DD, or None."""
    if not isinstance(text, str):
        return None
    if found := re.fullmatch(r"(\d\d)\.(\d\d)\.(\d{4})", text, re.ASCII):
        text = f"{found[3]}-{found[2]}-{found[1]}"
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        return None
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return None


def reset(data):
    for name in ("members.json", "loans.json"):
        (data / name).write_text("[]\n")


def _wrong(text):
    print(f"migrate.py: {text}", file=sys.stderr)
    return 2


def main(argv):
    if argv[:1] == ["--reset"]:
        if len(argv) != 3 or argv[1] != "--yes":
            return _wrong("say --reset --yes DATA: it throws DATA away")
        reset(Path(argv[2]))
        return 0
    if len(argv) != 2:
        return _wrong("give DATA and OUT")
    data, out = Path(argv[0]), Path(argv[1])
    one, other = data.resolve(), out.resolve()
    if one == other or one in other.parents or other in one.parents:
        return _wrong("DATA and OUT have to lie apart")
    migrate(data, out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
Y
