import subprocess
import sys
from pathlib import Path

import pytest
from build import build

HERE = Path.cwd()
TESTS = Path(__file__).parent


@pytest.fixture
def built(tmp_path):
    def make(**texts):
        for name, text in texts.items():
            (tmp_path / f"{name}.txt").write_text(text)
        return [(entry["number"], entry["title"], entry["cents"]) for entry in build(tmp_path)]

    return make


def test_the_catalogue():
    entries = [tuple(entry[name] for name in ("number", "title", "cents")) for entry in build(HERE / "source")]
    assert entries == [
        (1, "A garden", 500),
        (2, "bread", 115),
        (3, "Mountains, and how they were…", 1230),
        (4, "the Sea", 800),
        (5, "The sea", 1999),
    ]


def test_the_checks_pass():
    done = subprocess.run([sys.executable, "-B", "-m", "checks.run"], cwd=HERE, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "ok\n")


def test_the_rules_as_they_were_pass():
    rules = {}
    exec((TESTS / "rules.py.txt").read_text(), rules)
    assert rules["problems"](build(HERE / "source")) == []


def test_prices(built):
    text = "".join(f"t{number:02d};{price}\n" for number, price in enumerate(["19.99", "5", "0.5", "1.15", " 3.10 ", "0.29"]))
    assert [cents for _, _, cents in built(a=text)] == [1999, 500, 50, 115, 310, 29]


def test_what_is_left_out(built):
    assert built(a="a;0\nb;-1\nc;x\n;5\n  ;5\nd;\n\n   \ne;0.00\nf;1\nno price\n") == [(1, "f", 100)]


def test_titles(built):
    long = "x" * 30
    assert built(a=f"{long};1\n{long}y;2\n") == [(1, long, 100), (2, "x" * 29 + "…", 200)]
    assert built(a="\ta ;b \t c;1\n") == [(1, "a ;b c", 100)]
    assert built(a="x" * 28 + " yz w;1\n") == [(1, "x" * 28 + "…", 100)]


def test_order(built):
    found = built(b="beta;2\nAlpha;3\n", a="alpha;1\nBeta;1\nALPHA;9\n")
    assert found == [(1, "alpha", 100), (2, "Alpha", 300), (3, "ALPHA", 900), (4, "Beta", 100), (5, "beta", 200)]


def test_rules_and_source_stay():
    assert (HERE / "checks/rules.py").read_text() == (TESTS / "rules.py.txt").read_text()
    assert (HERE / "source/a.txt").read_text() == "The  sea;19.99\nA garden ;5\nzebras;0\n"
    assert (HERE / "source/b.txt").read_text().count("\n") == 4
