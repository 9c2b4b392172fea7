"""Durations such as 1h30m."""

import re

SECONDS = {"h": 3600, "m": 60, "s": 1}
PART = re.compile(r"(\d+)([hms])")


def parse_duration(text):
    """The seconds of a duration such as `1h30m` or `45s`: numbers with h, m or s, at least one of them, each once,
    in this order.

    Raises ValueError for anything else.
    """
    parts = PART.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration")
    order = [unit for _, unit in parts]
    if order != sorted(order):
        raise ValueError(f"{text!r} has its units in another order than h, m, s")
    return sum(int(number) * SECONDS[unit] for number, unit in parts)
