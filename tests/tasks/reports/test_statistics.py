"""The numbers, against known values and for all inputs."""

from __future__ import annotations

from itertools import combinations
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.reports.statistics import clustered, compare, mcnemar, minimum_detectable, pass_at_k, pass_hat_k, wilson


@st.composite
def tries(draw: st.DrawFn) -> tuple[int, int, int]:
    n = draw(st.integers(1, 9))
    return n, draw(st.integers(0, n)), draw(st.integers(1, n))


@given(tries())
def test_both_are_the_share_of_all_choices_of_k_attempts(case: tuple[int, int, int]) -> None:
    n, passed, k = case
    choices = list(combinations([i < passed for i in range(n)], k))
    assert pass_at_k(n, passed, k) == pytest.approx(sum(map(any, choices)) / len(choices))
    assert pass_hat_k(n, passed, k) == pytest.approx(sum(map(all, choices)) / len(choices))


def test_more_than_there_were_is_refused() -> None:
    with pytest.raises(ValueError, match="k is from 1"):
        pass_at_k(3, 1, 4)


def test_wilson_has_the_known_values() -> None:
    assert wilson(8, 10) == pytest.approx((0.8, 0.4901625, 0.9433178), abs=1e-6)
    assert wilson(0, 20) == pytest.approx((0.0, 0.0, 0.1611251), abs=1e-6)
    assert wilson(0, 0) == (0.0, 0.0, 1.0)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_its_rate_and_shrinks_with_more_attempts(case: tuple[int, int]) -> None:
    passed, n = case
    one, four = wilson(passed, n), wilson(4 * passed, 4 * n)
    assert 0 <= one.low <= one.rate <= one.high <= 1
    assert four.high - four.low < one.high - one.low


@given(st.lists(st.tuples(st.integers(0, 1), st.just(1)), min_size=2, max_size=60))
def test_one_attempt_a_task_has_about_wilsons_interval(tasks: list[tuple[int, int]]) -> None:
    passed = sum(c for c, _ in tasks)
    plain, by_task = wilson(passed, len(tasks)), clustered(tasks)
    assert by_task.rate == pytest.approx(plain.rate)
    assert by_task.high - by_task.low >= (plain.high - plain.low) - 1e-9


def test_attempts_that_always_agree_count_once() -> None:
    agreeing = clustered([(8, 8)] * 5 + [(0, 8)] * 5)
    assert agreeing.high - agreeing.low > 2 * (wilson(40, 80).high - wilson(40, 80).low)


def test_mcnemar_has_the_known_values() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(1, 9) == pytest.approx(0.021484375)
    assert mcnemar(9, 1) == mcnemar(1, 9)
    assert mcnemar(0, 6) == pytest.approx(0.03125)


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_is_the_two_sided_binomial(a: int, b: int) -> None:
    n = a + b
    chances = [comb(n, i) / 2**n for i in range(n + 1)]
    exact = sum(p for p in chances if p <= chances[a] * (1 + 1e-9))
    assert mcnemar(a, b) == pytest.approx(exact)


def test_a_comparison_says_what_it_can() -> None:
    assert compare([(0.0, 1.0)] * 6 + [(1.0, 1.0)] * 4).verdict == "better"
    assert compare([(1.0, 0.0)] * 6 + [(1.0, 1.0)] * 4).verdict == "worse"
    assert compare([(0.0, 1.0)] * 3 + [(1.0, 1.0)] * 7).verdict == "can't tell"
    assert compare([]).verdict == "can't tell"


@given(st.integers(1, 2000), st.floats(0, 1))
def test_more_tasks_show_smaller_differences(tasks: int, rate: float) -> None:
    assert 0 < minimum_detectable(4 * tasks, rate) <= minimum_detectable(tasks, rate) <= 1


def test_the_detectable_difference_has_the_known_value() -> None:
    assert minimum_detectable(100, 0.5) == pytest.approx(0.1981, abs=1e-4)
