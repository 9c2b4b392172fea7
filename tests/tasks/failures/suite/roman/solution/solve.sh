cat > roman.py <<'E'
"""Roman numbers."""

SIGNS = [(1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL")]
SIGNS += [(10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")]


def to_roman(n):
    """A number from 1 to 3999."""
    if not 1 <= n <= 3999:
        raise ValueError(n)
    out = ""
    for value, sign in SIGNS:
        while n >= value:
            out += sign
            n -= value
    return out


def from_roman(text):
    """The number that is written so."""
    for n in range(1, 4000):
        if to_roman(n) == text:
            return n
    raise ValueError(text)
E
