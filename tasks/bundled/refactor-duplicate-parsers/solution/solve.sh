cat > units.py <<'X'
"""Sizes and durations as people write them."""

SIZES = {"B": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
DURATIONS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_quantity(text, units):
    """The sum of numbers, each with a suffix that `units` has the factor of."""
    total, digits = 0, ""
    for char in text.strip():
        if char.isdigit():
            digits += char
        elif char in units and digits:
            total += int(digits) * units[char]
            digits = ""
        else:
            raise ValueError(f"no quantity: {text!r}")
    if digits or not text.strip():
        raise ValueError(f"no quantity: {text!r}")
    return total


def parse_size(text):
    """Bytes of a text such as `1M512K`."""
    return parse_quantity(text, SIZES)


def parse_duration(text):
    """Seconds of a text such as `1h30m`."""
    return parse_quantity(text, DURATIONS)
X
