"""Another value in the place of one that a test expects: of the same kind, unequal, and like what tests say.

A program that looks at the tests has no better reason to believe the one than the other, as far as that can be
had: a number keeps its sign and how round it is, texts and lists are made of what was in them.
"""

from __future__ import annotations

import copy
import random
import re
from typing import Any

_TOKEN = re.compile(r"[A-Za-z0-9]+")
_EMPTY: tuple[Any, ...] = (None, True, False, 0, 1, "", b"", [], (), {})


def is_telling(value: Any) -> bool:
    """Is there more to it than one of the few that are expected most often, such as None, True, 0 or []?"""
    return not any(type(value) is type(each) and value == each for each in _EMPTY)


def other_than(value: Any, rng: random.Random) -> Any:
    """A value of the same kind that is not equal to `value`, and close to it; None where there is none."""
    for _ in range(20):
        new = _other(copy.deepcopy(value), rng)
        if new is None or new != value:
            return new
    return None


def _other(value: Any, rng: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return _other_whole(value, rng)
    if isinstance(value, float):
        return _other_float(value, rng)
    if isinstance(value, str):
        return _other_text(value, rng)
    if isinstance(value, bytes):
        return _other_text(value.decode("latin-1"), rng).encode("latin-1")
    if isinstance(value, list | tuple | dict | set):
        return _other_of_several(value, rng)
    return rng.randrange(10) if value is None else None


def _other_whole(value: int, rng: random.Random) -> int:
    """As many zeros at its end, and on the same side of 0."""
    zeros = 0 if not value else len(str(value)) - len(str(value).rstrip("0"))
    step = rng.choice([1, 2, 3]) * int("1" + "0" * zeros)
    return value + step if _upwards(value, step, rng) else value - step


def _upwards(value: float, step: float, rng: random.Random) -> bool:
    """Which way a step goes: never over 0."""
    return value >= 0 if abs(value) <= step else rng.random() < 0.5


def _other_float(value: float, rng: random.Random) -> float:
    """As many digits after the point, and on the same side of 0."""
    text = repr(value)
    if not re.fullmatch(r"-?\d+\.\d+", text):
        return value * rng.choice([0.5, 2.0, 4.0])
    decimals = 0 if text.endswith(".0") else len(text.partition(".")[2])
    step = rng.choice([1, 2, 3]) * 10.0**-decimals
    return round(value + step if _upwards(value, step, rng) else value - step, decimals)


def _other_of_several(value: Any, rng: random.Random) -> Any:
    """One less, or one of them another; one where there is none."""
    if isinstance(value, set):
        items: list[Any] = sorted(value, key=repr)
    else:
        items = list(value.items()) if isinstance(value, dict) else list(value)
    if not items:
        return type(value)([rng.randrange(10)]) if isinstance(value, list | tuple) else None
    place = rng.randrange(len(items))
    kept, old = items[:place] + items[place + 1 :], items[place]
    one = old[1] if isinstance(value, dict) else old
    others = [each[1] for each in kept] if isinstance(value, dict) else kept
    if isinstance(one, str) and others and not any(map(str.isdigit, one)):  # another spelling would look wrong
        words = [each for each in others if isinstance(each, str) and each != one]
        new = rng.choice(words) if words and not isinstance(value, set) and rng.random() < 0.5 else None
    elif others and rng.random() < 0.4:
        new = None
    else:
        new = _other(one, rng)
    if new is None:
        return type(value)(kept) if kept else None
    items[place] = (old[0], new) if isinstance(value, dict) else new
    return type(value)(items)


def _other_text(text: str, rng: random.Random) -> str:
    """Another number in it, a word less, or another letter; one more where there is none."""
    tokens = list(_TOKEN.finditer(text))
    if not tokens:
        return text + rng.choice("abcdefgh")
    numbers = [each for each in tokens if each[0].isdigit() and (each[0] == "0" or each[0][0] != "0")]
    ways = [*(["number"] * 2 if numbers else []), *(["less"] if len(tokens) > 2 else [])]
    way = rng.choice(ways or ["letter"])
    if way == "number":
        found = rng.choice(numbers)
        return text[: found.start()] + str(_other_whole(int(found[0]), rng)) + text[found.end() :]
    if way == "less":
        place = rng.randrange(1, len(tokens))
        return text[: tokens[place - 1].end()] + text[tokens[place].end() :]
    return _other_letter(text, rng)


def _other_letter(text: str, rng: random.Random) -> str:
    place = rng.choice([place for place, char in enumerate(text) if char.isascii() and char.isalnum()])
    old = text[place].lower()
    pool = next((each for each in ("123456789", "aeiou") if old in each), "bcdfghklmnprstvw")
    new = rng.choice([char for char in pool if char != old])
    return text[:place] + (new.upper() if text[place].isupper() else new) + text[place + 1 :]
