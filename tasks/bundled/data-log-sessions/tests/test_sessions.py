import json
from pathlib import Path

WANTED = json.loads((Path(__file__).parent / "sessions.json").read_text())
FIELDS = {"user", "start", "end", "visits", "bytes", "errors", "paths", "paid"}


def sessions():
    return json.loads(Path("sessions.json").read_text())


def only(found, *names):
    return [{name: each[name] for name in names} for each in found]


def test_who_and_when():
    assert only(sessions(), "user", "start", "end") == only(WANTED, "user", "start", "end")


def test_how_much():
    assert only(sessions(), "user", "visits", "bytes", "errors") == only(WANTED, "user", "visits", "bytes", "errors")


def test_what():
    assert only(sessions(), "user", "paths", "paid") == only(WANTED, "user", "paths", "paid")


def test_nothing_else():
    assert all(set(each) == FIELDS for each in sessions())
    assert sum(each["visits"] for each in sessions()) == sum(each["visits"] for each in WANTED)


def test_the_rejected_lines():
    found = json.loads(Path("rejected.json").read_text())
    assert found == json.loads((Path(__file__).parent / "rejected.json").read_text())
