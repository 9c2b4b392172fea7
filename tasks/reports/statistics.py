"""Numbers about attempts: rates and means, never without an interval, and comparisons that may say "can't tell".

All functions are pure. A rate is a fraction of 1; `confidence` is that of a two-sided interval. Tasks are what was
drawn at random, and attempts at one task are alike: intervals are over tasks, and each task weighs the same.
See docs/numbers.md for what each formula is and how well its intervals were found to hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import atan, comb, exp, lcm, log, pi, sqrt
from statistics import NormalDist
from typing import Literal

CONFIDENCE = 0.95
FEWEST_TASKS = 6
"""With fewer pairs no exact test can come out under 0.05, whatever they show."""
MAX_BITS = 40_000_000
"""How large a number may grow that counts choices of signs; differences are rounded to what fits."""
Verdict = Literal["better", "worse", "can't tell"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A rate or a mean and the bounds of its interval."""

    value: float
    low: float
    high: float

    def text(self) -> str:
        """A rate in per cent, as `67 % (39-86 %)`."""
        return f"{self.value * 100:.0f} % ({self.low * 100:.0f}-{self.high * 100:.0f} %)"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What B is against A on the tasks that both have.

    `only_a`, `only_b`: tasks that only one of them does better. `p_value` is exact. `difference` is B's rate less
    A's. `detectable` is the smallest difference that so many tasks, as alike as these, would show four times in
    five; None where no difference could ever show.
    """

    tasks: int
    only_a: int
    only_b: int
    difference: Interval
    p_value: float
    verdict: Verdict
    detectable: float | None


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
    z = _z(confidence)
    rate = passed / attempts
    middle = (rate + z * z / (2 * attempts)) / (1 + z * z / attempts)
    half = z / (1 + z * z / attempts) * sqrt(rate * (1 - rate) / attempts + z * z / (4 * attempts * attempts))
    return Interval(rate, max(0.0, min(rate, middle - half)), min(1.0, max(rate, middle + half)))


def clustered(tasks: Sequence[tuple[int, int]], confidence: float = CONFIDENCE) -> Interval:
    """The mean over tasks of passed / attempts, from (passed, attempts) of each; see `mean_rate`."""
    known = [each for each in tasks if each[1] > 0]
    return mean_rate([c / n for c, n in known], sum(n for _, n in known), confidence)


def mean_rate(rates: Sequence[float], attempts: int, confidence: float = CONFIDENCE) -> Interval:
    """The mean of one rate a task, with an interval that knows attempts of a task are alike.

    Wilson's, with as many attempts as independent ones would have to be for the same standard error: at most
    `attempts`, all there were, and no fewer than there are tasks. With one attempt a task it is Wilson's itself.
    """
    tasks = len(rates)
    if not tasks:
        return wilson(0, 0, confidence)
    rate = sum(rates) / tasks
    if tasks == 1 or rate in (0.0, 1.0):
        return wilson(rate * tasks, tasks, confidence)
    variance = sum((each - rate) ** 2 for each in rates) / (tasks - 1) / tasks
    alike = rate * (1 - rate) / variance if variance > 0 else float(attempts)
    effective = max(float(tasks), min(float(attempts), alike))
    return wilson(rate * effective, effective, confidence)


def ratio(amounts: Sequence[float], counts: Sequence[float], confidence: float = CONFIDENCE) -> Interval | None:
    """The sum of amounts over the sum of counts, one of each a task, such as dollars for each solved attempt.

    The interval is made on a scale of logarithms, with Student's t: amounts are skewed, and never below zero.
    None where nothing can be said: fewer than two tasks, or no count or no amount at all.
    """
    tasks, total, count = len(amounts), sum(amounts), sum(counts)
    if tasks < 2 or total <= 0 or count <= 0:
        return None
    value = total / count
    spread = tasks / (tasks - 1) * sum((x - value * y) ** 2 for x, y in zip(amounts, counts, strict=True))
    factor = exp(min(700.0, student(tasks - 1, confidence) * sqrt(spread) / total))
    return Interval(value, value / factor, value * factor)


def events_per(events: Sequence[int], counts: Sequence[int], confidence: float = CONFIDENCE) -> Interval | None:
    """Events over counts, one of each a task; where there were none, up to as many as chance hides (Poisson)."""
    if sum(events) == 0 and sum(counts) > 0:
        return Interval(0.0, 0.0, -log((1 - confidence) / 2) / sum(counts))
    return ratio(events, counts, confidence)


def mcnemar(only_a: int, only_b: int) -> float:
    """The exact two-sided p-value for so many discordant pairs."""
    return sign_flips([Fraction(1)] * only_b + [Fraction(-1)] * only_a)


def sign_flips(differences: Sequence[Fraction]) -> float:
    """The exact two-sided p-value of paired differences: how often would random signs make a sum as far from zero?

    With differences of -1, 0 and 1 this is McNemar's exact test. All sign choices are counted at once: the count
    for each sum is a digit of one large number, in a base that no count reaches. Where the differences have many
    denominators, they are rounded to a grid, of 1/160 with 500 tasks.
    """
    different = [each for each in differences if each]
    grid = max(1, MAX_BITS // (len(different) + 1) ** 2)
    scale = min(lcm(*(each.denominator for each in different)), grid)
    steps = [round(each * scale) for each in different]
    digit = len(steps) + 1
    ways = 1
    for step in steps:
        ways += ways << (abs(step) * digit)
    smaller = min(sum(step for step in steps if step > 0), -sum(step for step in steps if step < 0))
    tail = ways & ((1 << ((smaller + 1) * digit)) - 1)
    count = tail % ((1 << digit) - 1) if steps else 1  # the sum of its digits
    return min(1.0, float(Fraction(2 * count, 1 << len(steps))))


def paired_difference(differences: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """The mean of paired differences from -1 to 1. Bonett and Price's interval: two tasks more, one for each side.

    They keep the interval from closing where all tasks agree. Without tasks nothing is known.
    """
    tasks = len(differences)
    if not tasks:
        return Interval(0.0, -1.0, 1.0)
    middle, half = sum(differences) / (tasks + 2), _z(confidence) * _paired_error(differences)
    value = sum(differences) / tasks
    return Interval(value, max(-1.0, min(value, middle - half)), min(1.0, max(value, middle + half)))


def minimum_detectable(
    standard_error: float, tasks: int, *, confidence: float = CONFIDENCE, power: float = 0.8
) -> float | None:
    """The smallest difference that an estimate with this standard error shows with `power`; at most 1.

    None with so few tasks that no exact test could ever tell.
    """
    if tasks < FEWEST_TASKS:
        return None
    return min(1.0, (_z(confidence) + NormalDist().inv_cdf(power)) * standard_error)


def compare(pairs: Sequence[tuple[Fraction, Fraction]], confidence: float = CONFIDENCE) -> Comparison:
    """What B is against A, from both rates on each task: the exact test decides, the interval says how much."""
    exact = [b - a for a, b in pairs]
    differences = [float(each) for each in exact]
    p_value = sign_flips(exact)
    return Comparison(
        tasks=len(pairs),
        only_a=sum(each < 0 for each in exact),
        only_b=sum(each > 0 for each in exact),
        difference=paired_difference(differences, confidence),
        p_value=p_value,
        verdict=verdict(p_value, sum(exact), confidence),
        detectable=minimum_detectable(_paired_error(differences), len(pairs), confidence=confidence),
    )


def verdict(p_value: float, difference: float | Fraction, confidence: float = CONFIDENCE) -> Verdict:
    """Better or worse where the p-value is below 1 - confidence, else can't tell."""
    if p_value >= 1 - confidence or difference == 0:
        return "can't tell"
    return "better" if difference > 0 else "worse"


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given: under a bound, the chance of any false alarm is under it."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, least = [1.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = least
    return adjusted


def fell(before: tuple[int, int], after: tuple[int, int]) -> float:
    """Fisher's exact one-sided p-value that a task's (passed, attempts) fell."""
    (c, n), (d, m) = before, after
    passed = c + d
    ways = sum(comb(m, i) * comb(n, passed - i) for i in range(max(0, passed - n), d + 1))
    return ways / comb(n + m, passed)


@lru_cache(maxsize=512)
def student(freedom: int, confidence: float = CONFIDENCE) -> float:
    """The two-sided quantile of Student's t with a whole number of degrees of freedom, from 1."""
    if freedom > 200:  # the normal one with its first corrections is exact to six places here
        z = _z(confidence)
        return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    low, high = 0.0, 1e6
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < confidence else (low, middle)
    return (low + high) / 2


def _within(t: float, freedom: int) -> float:
    """The chance that Student's t is between -t and t: a finite sum for whole degrees of freedom."""
    angle = atan(t / sqrt(freedom))
    square = freedom / (freedom + t * t)  # of the angle's cosine
    sine = t / sqrt(freedom + t * t)
    odd = freedom % 2
    term = total = sqrt(square) if odd else 1.0
    for j in range(2 + odd, freedom - 1, 2):
        term *= square * (j - 1) / j
        total += term
    if odd:
        return 2 / pi * (angle + (sine * total if freedom > 1 else 0.0))
    return sine * total


def _paired_error(differences: Sequence[float]) -> float:
    """The standard error of the mean of paired differences, with one task more for each side."""
    tasks = len(differences) + 2
    middle = sum(differences) / tasks
    return sqrt(((sum(each * each for each in differences) + 2) / tasks - middle * middle) / tasks)


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def _check(attempts: int, passed: int, k: int) -> None:
    if not (0 <= passed <= attempts and 1 <= k <= attempts):
        raise ValueError(f"{passed} of {attempts} attempts passed, k = {k}: k is from 1 to the attempts")
