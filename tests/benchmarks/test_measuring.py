"""The arithmetic that ``hem bench`` and the benchmarks share."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hem_provider.measuring.figures import figures_of, markdown, milliseconds, plain
from hem_provider.measuring.measure import (
    FLOOR,
    Case,
    Result,
    interleave,
    median_interval,
    percentile,
)


def nothing() -> tuple[int, int]:
    return 0, 0


def test_cases_are_run_in_turn_and_prepared_outside_the_timing():
    order: list[str] = []
    cases = [
        Case("op", "a", lambda: order.append("a"), prepare=lambda: order.append("prepare a")),
        Case("op", "b", lambda: order.append("b")),
    ]
    results = interleave(cases, 2, nothing, warm_up=1)
    assert order == ["prepare a", "a", "b"] * 3
    assert [len(each.seconds) for each in results] == [2, 2]


def test_a_long_case_runs_in_every_so_many_rounds():
    runs: list[str] = []
    cases = [
        Case("op", "long", lambda: runs.append("long"), every=3),
        Case("op", "a", lambda: runs.append("a")),
    ]
    results = interleave(cases, 7, nothing, warm_up=0)
    assert [len(each.seconds) for each in results] == [3, 7]


@given(rounds=st.integers(1, 12), every=st.integers(1, 40), warm_up=st.integers(0, 2))
def test_every_case_is_timed_and_counted_at_least_once(rounds, every, warm_up):
    calls = [0]

    def call() -> None:
        calls[0] += 1

    (result,) = interleave(
        [Case("op", "x", call, every=every)], rounds, lambda: (calls[0], 0), warm_up=warm_up
    )
    assert result.seconds
    assert result.calls == 1


def test_calls_and_logins_are_those_of_one_round():
    totals = [0, 0]

    def login() -> None:
        totals[0] += 2
        totals[1] += 1

    (result,) = interleave([Case("login", "x", login)], 5, lambda: (totals[0], totals[1]))
    assert (result.calls, result.logins) == (2, 1)


@pytest.mark.parametrize(
    ("seconds", "median", "p95", "p99"),
    [([3.0, 1.0, 2.0], 2.0, 3.0, 3.0), ([float(each) for each in range(1, 101)], 50.5, 95.0, 99.0)],
)
def test_median_and_percentiles(seconds, median, p95, p99):
    result = Result(Case("op", "x", lambda: None), list(seconds))
    assert (result.median, result.p95, result.p99) == (median, p95, p99)


@given(values=st.lists(st.floats(0, 1e6), min_size=1), percent=st.integers(1, 100))
def test_a_percentile_is_one_of_the_values_and_not_exceeded_by_its_share(values, percent):
    found = percentile(values, percent)
    assert found in values
    assert sum(each <= found for each in values) * 100 >= percent * len(values)


@pytest.mark.parametrize("count", [6, 7, 10, 25, 100, 1601])
def test_the_interval_of_a_median_is_as_narrow_as_95_percent_allow(count):
    def sure(low: int, high: int) -> float:
        """How probable it is that the true median lies between the values of these two ranks."""
        return sum(math.comb(count, below) for below in range(low, high)) / 2**count

    low, high = median_interval([float(each) for each in range(1, count + 1)])
    assert low + high == count + 1
    assert sure(int(low), int(high)) >= 0.95
    assert sure(int(low) + 1, int(high) - 1) < 0.95


def test_few_values_do_not_tell_where_the_median_lies():
    assert median_interval([1.0] * 5) is None
    assert median_interval([]) is None


def test_a_layer_is_compared_with_the_floor_of_its_own_kind():
    results = [
        Result(Case("sign", FLOOR, nothing), [0.004], calls=1),
        Result(Case("sign", "kept floor", nothing, floor="kept floor"), [0.001], calls=1),
        Result(Case("sign", "Hem", nothing), [0.006], calls=1),
        Result(Case("sign", "Hem, kept", nothing, floor="kept floor"), [0.002], calls=1),
    ]
    assert [each.ratio for each in figures_of("operations", results)] == [1.0, 1.0, 1.5, 2.0]
    assert figures_of("operations", results, "Hem")[3].ratio == pytest.approx(1 / 3)


def test_what_makes_other_calls_than_the_floor_is_not_compared_with_it():
    results = [
        Result(Case("list", FLOOR, nothing), [0.004], calls=1),
        Result(Case("list", "remembered", nothing), [0.001], calls=0),
    ]
    assert figures_of("operations", results)[1].ratio is None


def figures():
    results = [
        Result(Case("sign", FLOOR, nothing), [0.002], calls=1),
        Result(Case("sign", "Hem", nothing), [0.003], calls=1),
        Result(Case("verify", "Hem", nothing), [0.0001]),
    ]
    return figures_of("operations", results)


def test_the_ratio_is_to_the_floor_of_the_same_operation_and_absent_without_one():
    assert [each.ratio for each in figures()] == [1.0, pytest.approx(1.5), None]


def test_tables_show_every_figure():
    assert "| sign | bare HTTPS | 2.00 |  | 2.00 | 2.00 | 1.00 | 1 | 0 |" in markdown(figures())
    assert "|  | Hem | 3.00 |  | 3.00 | 3.00 | 1.50 | 1 | 0 |" in markdown(figures())
    assert len(plain(figures()).splitlines()) == 5


def test_a_table_says_where_the_median_lies():
    result = Result(Case("sign", "Hem", nothing), [each / 1000 for each in range(1, 7)])
    assert "| sign | Hem | 3.50 | 1.00–6.00 | 6.00 |" in markdown(figures_of("operations", [result]))


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.5, "2500"), (0.0456, "45.6"), (0.00234, "2.34"), (0.000056, "0.056")]
)
def test_milliseconds_have_about_three_digits(seconds, text):
    assert milliseconds(seconds) == text
