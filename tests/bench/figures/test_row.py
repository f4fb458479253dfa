"""What a row makes of what was measured."""

import math

import pytest

from bench.figures.row import (
    Base,
    Quantity,
    Row,
    Sample,
    Target,
    at_least,
    at_most,
    judge,
    judged_cpu,
    make_line,
    median_ms,
    p99_ms,
    rate,
    ratio_of,
)
from bench.figures.spread import Spread


def samples(*counts: int, seconds: float = 2.0) -> list[Sample]:
    return [Sample(count, seconds) for count in counts]


def test_a_rate_is_operations_by_time() -> None:
    assert rate(Sample(300, 1.5)) == 200


def test_latencies_are_told_in_milliseconds() -> None:
    sample = Sample(100, 1, [n / 1000 for n in range(1, 101)])
    assert median_ms(sample) == pytest.approx(50)
    assert p99_ms(sample) == pytest.approx(99)


def test_the_cpu_of_an_award_is_that_of_service_postgres_and_redis_alone() -> None:
    cpu = {"service": 0.05, "postgres": 0.03, "redis": 0.01, "load": 5.0, "echo": 3.0}
    assert judged_cpu(Sample(1000, 1, cpu=cpu)) == pytest.approx(90)


def test_a_figure_is_compared_with_its_limit_round_by_round() -> None:
    row = Row("mine", "", "/s", rate, limit="its")
    line = judge(row, {"mine": samples(50, 900, 40), "its": samples(100, 1000, 100)})
    assert line.figure.median == 25
    assert line.limit is not None
    assert line.limit.median == 50
    assert line.ratio is not None
    assert line.ratio.rounds == (0.5, 0.9, 0.4)


def test_the_limit_is_told_in_the_unit_of_the_figure() -> None:
    row = Row("mine", "", "ms p50", median_ms, limit="its")
    line = judge(row, {"mine": [Sample(1, 1, [0.004])], "its": [Sample(1, 1, [0.001])]})
    assert line.limit is not None
    assert line.limit.median == pytest.approx(1)


@pytest.mark.parametrize(
    ("target", "is_met"),
    [
        (at_least(25), True),
        (at_least(26), False),
        (at_most(25), True),
        (at_most(24), False),
        (at_least(0.5, Quantity.RATIO), True),
        (at_least(0.51, Quantity.RATIO), False),
        (at_most(-25, Quantity.DIFFERENCE), True),
        (at_most(-26, Quantity.DIFFERENCE), False),
        (at_most(60_000, Quantity.CPU), True),
        (at_most(59_999, Quantity.CPU), False),
        (at_most(20_000, Quantity.POSTGRES_CPU), True),
        (at_most(19_999, Quantity.POSTGRES_CPU), False),
        (at_least(0.97, Quantity.BASE), None),
    ],
)
def test_a_target_is_met_by_the_median_of_what_it_is_about(target: Target, *, is_met: bool | None) -> None:
    row = Row("mine", "", "/s", rate, limit="its", targets=(target,))
    cpu = {"service": 1.0, "postgres": 1.0, "gateway": 1.0, "load": 9.0, "echo": 9.0}
    line = judge(row, {"mine": [Sample(50, 2.0, cpu=cpu)], "its": samples(100)})
    assert line.verdicts == ((target, is_met),)


def test_what_was_not_measured_meets_no_target() -> None:
    assert not at_most(50).is_met(math.nan)
    assert not at_least(0).is_met(math.nan)


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (at_least(10_000), "≥ 10,000"),
        (at_most(180), "≤ 180"),
        (at_least(0.6, Quantity.RATIO), "≥ 0.6 of limit"),
        (at_most(3, Quantity.DIFFERENCE), "≤ limit + 3"),
        (at_most(1_500, Quantity.CPU), "≤ 1,500 µs of CPU"),
        (at_least(5, Quantity.BASE), "≥ 5 of base"),
    ],
)
def test_a_target_says_what_it_wants(target: Target, text: str) -> None:
    assert str(target) == text


def test_cpu_is_told_by_who_used_it_and_operation() -> None:
    row = Row("mine", "", "/s", rate)
    rounds = [Sample(100, 1, cpu={"redis": seconds}) for seconds in (0.001, 0.002, 0.009)]
    assert judge(row, {"mine": rounds}).cpu == {"redis": pytest.approx(20)}


def test_a_row_may_show_another_figure_of_a_measure() -> None:
    row = Row("mine-p50", "", "ms p50", median_ms, measure="mine", limit="its")
    assert row.measures == ("its", "mine")


@pytest.mark.parametrize(
    ("target", "is_met"), [(at_least(2, Quantity.BASE), True), (at_least(2.1, Quantity.BASE), False)]
)
def test_a_target_of_a_comparison_is_met_by_the_ratio_to_the_base(target: Target, *, is_met: bool) -> None:
    figure, other = Spread.of([4.0, 10.0]), Spread.of([2.0, 5.0])
    base = Base(other, ratio_of(figure, other), {})
    line = make_line(Row("mine", "", "/s", rate, targets=(target,)), figure, None, {}, base)
    assert line.verdicts == ((target, is_met),)
