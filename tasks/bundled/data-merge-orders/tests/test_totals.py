import json
from pathlib import Path

WANTED = {"ada": 124475, "barbara": 90009, "edsger": 99, "grace": 2700, "linus": 1250}


def totals():
    return json.loads(Path("totals.json").read_text())


def test_the_totals():
    assert totals() == WANTED


def test_sorted_and_complete():
    assert list(totals()) == sorted(WANTED)


def test_the_rejected_lines():
    assert Path("rejected.txt").read_text().split() == ["1005", "1007", "1008"]
