"""Roman numbers."""

SIGNS = [(1000, "M"), (500, "D"), (100, "C"), (50, "L"), (10, "X"), (5, "V"), (1, "I")]


def to_roman(n):
    """A number from 1 to 3999."""
    out = ""
    for value, sign in SIGNS:
        while n >= value:
            out += sign
            n -= value
    return out
