"""Numbers about attempts: rates that are never without an interval, and comparisons that may say "can't tell".

All functions are pure. A rate is a fraction of 1; `confidence` is that of a two-sided interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, sqrt
from statistics import NormalDist
from typing import Literal, NamedTuple

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A rate and the bounds of its interval."""

    rate: float
    low: float
    high: float

    def text(self) -> str:
        """In per cent, as `67 % (39-86%)`."""
        return f"{self.rate:.0%} ({self.low:.0%}-{self.high:.0%})".replace("%", " %", 1).replace("%-", "-")


class Comparison(NamedTuple):
    """What B is against A: tasks that only one of them does better, the exact p-value, and the verdict."""

    only_a: int
    only_b: int
    p_value: float
    verdict: Literal["better", "worse", "can't tell"]
    detectable: float
    """The smallest difference of rates that so many tasks would show four times in five."""


def pass_at_k(attempts: int, passed: int, k: int) -> float:
    """The chance that of `k` attempts at least one passes, unbiased. Raises ValueError for k > attempts."""
    _check(attempts, passed, k)
    return 1.0 - comb(attempts - passed, k) / comb(attempts, k)


def pass_hat_k(attempts: int, passed: int, k: int) -> float:
    """The chance that `k` attempts all pass, unbiased. Raises ValueError for k > attempts."""
    _check(attempts, passed, k)
    return comb(passed, k) / comb(attempts, k)


def wilson(passed: float, attempts: float, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval; without attempts nothing is known, and the interval says so."""
    if attempts <= 0:
        return Interval(0.0, 0.0, 1.0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    rate = passed / attempts
    middle = (rate + z * z / (2 * attempts)) / (1 + z * z / attempts)
    half = z / (1 + z * z / attempts) * sqrt(rate * (1 - rate) / attempts + z * z / (4 * attempts * attempts))
    return Interval(rate, max(0.0, min(rate, middle - half)), min(1.0, max(rate, middle + half)))


def clustered(tasks: Sequence[tuple[int, int]], confidence: float = CONFIDENCE) -> Interval:
    """The rate over (passed, attempts) of each task, with an interval that knows attempts of a task are alike.

    Wilson's, with as many attempts as independent ones would have to be for the same standard error; at least as
    wide as that of one attempt a task where all attempts of each task agree.
    """
    tasks = [each for each in tasks if each[1] > 0]
    attempts = sum(n for _, n in tasks)
    if not tasks:
        return wilson(0, 0, confidence)
    rate = sum(c for c, _ in tasks) / attempts
    if len(tasks) == 1 or rate in (0.0, 1.0):
        return wilson(rate * len(tasks), len(tasks), confidence)
    groups = len(tasks)
    variance = groups / (groups - 1) * sum((c - rate * n) ** 2 for c, n in tasks) / attempts**2
    alike = rate * (1 - rate) / variance if variance > 0 else attempts
    effective = max(1.0, min(float(attempts), alike))
    return wilson(rate * effective, effective, confidence)


def mcnemar(only_a: int, only_b: int) -> float:
    """The exact two-sided p-value for so many discordant pairs."""
    n = only_a + only_b
    if n == 0:
        return 1.0
    tail = sum(comb(n, i) for i in range(min(only_a, only_b) + 1))
    return float(min(1.0, tail / 2 ** (n - 1)))


def minimum_detectable(tasks: int, rate: float, *, confidence: float = CONFIDENCE, power: float = 0.8) -> float:
    """The smallest difference between two runs of `tasks` tasks that would be seen with `power`; at most 1."""
    if tasks <= 0:
        return 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2) + NormalDist().inv_cdf(power)
    spread = max(rate * (1 - rate), 1 / (4 * tasks))  # a rate of 0 or 1 is not known that well
    return min(1.0, z * sqrt(2 * spread / tasks))


def compare(pairs: Sequence[tuple[float, float]], confidence: float = CONFIDENCE) -> Comparison:
    """What B is against A, from both rates on each task: McNemar's exact test; with several attempts, signs."""
    only_a = sum(a > b for a, b in pairs)
    only_b = sum(b > a for a, b in pairs)
    p_value = mcnemar(only_a, only_b)
    rate = sum(a for a, _ in pairs) / len(pairs) if pairs else 0.0
    detectable = minimum_detectable(len(pairs), rate, confidence=confidence)
    if p_value >= 1 - confidence:
        return Comparison(only_a, only_b, p_value, "can't tell", detectable)
    return Comparison(only_a, only_b, p_value, "better" if only_b > only_a else "worse", detectable)


def _check(attempts: int, passed: int, k: int) -> None:
    if not (0 <= passed <= attempts and 1 <= k <= attempts):
        raise ValueError(f"{passed} of {attempts} attempts passed, k = {k}: k is from 1 to the attempts")
