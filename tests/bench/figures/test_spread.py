"""Percentiles and spreads."""

import math

import pytest

from bench.figures.spread import Spread, percentile


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (99, 99), (100, 100), (1, 1), (0, 1)])
def test_a_percentile_is_the_smallest_value_that_enough_are_not_above(percent: float, expected: int) -> None:
    assert percentile([*range(100, 0, -1)], percent) == expected


def test_the_percentile_of_one_value_is_that_value() -> None:
    assert percentile([3.5], 50) == percentile([3.5], 99) == 3.5


def test_the_percentile_of_nothing_is_no_number() -> None:
    assert math.isnan(percentile([], 50))


def test_a_spread_counts_by_its_median_so_that_one_bad_round_does_no_harm() -> None:
    spread = Spread.of([10, 1_000, 12])
    assert (spread.median, spread.least, spread.most) == (12, 10, 1_000)
