import random
from pathlib import Path

from invoice import invoice

OLD = {}
exec(compile((Path(__file__).parent / "old_invoice.py").read_text(), "old_invoice.py", "exec"), OLD)
TEXTS = [
    "2 x Tea @ 3.50 [A]",
    "2 x Tea @ 3.50\n3 x Tea @ 3.50 [A]\n1 x Tea @ 3.50 [B]\n1 x Tea @ 4\n",
    "10 x Pen @ 0.99 [B]\n1 x Very long name of a thing @ 120 [Z]\n",
    "# comment\n\n  5 x A @ 1.10 [B]  \n\t4 x B @ 2.20 [Z]",
    "5 x a @ 1.05 [A]\n5 x a @ 1.05 [A]",
    "1 x half @ 0.50 [A]\n1 x more @ 0.71 [B]\n1 x odd @ 2.50 [A]",
    "1 x a x b @ 1",
    "1 x a @ b @ 1",
    "",
    "# nothing",
    "0 x a @ 1",
    "x a @ 1\n-1 x a @ 1\n1 x a\n1 x  @ 1\n1 x a @\n1 x a @ 1.5\n1 x a @ 1,50\n1 x a @ 1.\n1 x a @ .50\n1 x a @ 1.555",
    "1 x a @ 1 [C]\n1 x a @ 1 [A\n1 x a @ 1[A]\n1 x a @ 1 []\n1 x a @ 1 [A] b",
    "1 x a @ 0\n1 x a @ 007.00",
    "1 x a @ 1\r\n\r\n2 x b @ 2\x0b3 x c @ z",
    "\u0663 x a @ 1",
    "1 x a @ 1e3",
    "1 x a @ 1_0",
    "1 x a @ nan",
]


def same(text, **options):
    def outcome(function):
        try:
            return function(text, **options)
        except ValueError as error:
            return type(error)

    assert outcome(invoice) == outcome(OLD["old_invoice"]), text


def test_what_is_written():
    assert invoice("2 x Tea @ 3.50") == (
        "Invoice of 2026-11-25\nTea   2       7.00\nnet           7.00\ntax 19%           1.33\ntotal           8.33\n"
    )


def test_the_same_as_before():
    for text in TEXTS:
        same(text)


def test_the_same_abroad_and_on_other_days():
    for text in TEXTS:
        same(text, country="FR", today="x")


def test_the_same_for_many_texts():
    chance = random.Random(7)
    for _ in range(300):
        lines = []
        for _ in range(chance.randint(1, 6)):
            rate = chance.choice(["", " [A]", " [B]", " [Z]"])
            name = chance.choice(["Tea", "Pen", "A long name"])
            lines.append(f"{chance.randint(1, 14)} x {name} @ {chance.randint(0, 3)}.{chance.randint(0, 99):02d}{rate}")
        same("\n".join(lines))
