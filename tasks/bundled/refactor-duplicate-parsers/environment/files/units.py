"""Sizes and durations as people write them."""

SIZES = {"B": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
DURATIONS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_size(text):
    """Bytes of a text such as `1M512K`."""
    total, digits = 0, ""
    for char in text.strip():
        if char.isdigit():
            digits += char
        elif char in SIZES and digits:
            total += int(digits) * SIZES[char]
            digits = ""
        else:
            raise ValueError(f"no quantity: {text!r}")
    if digits or not text.strip():
        raise ValueError(f"no quantity: {text!r}")
    return total


def parse_duration(text):
    """Seconds of a text such as `1h30m`."""
    total, digits = 0, ""
    for char in text.strip():
        if char.isdigit():
            digits += char
        elif char in DURATIONS and digits:
            total += int(digits) * DURATIONS[char]
            digits = ""
        else:
            raise ValueError(f"no quantity: {text!r}")
    if digits or not text.strip():
        raise ValueError(f"no quantity: {text!r}")
    return total
