"""The table and the JSON."""

import io
import json
import math

import pytest
from rich.console import Console

from bench.figures.row import Quantity, Row, Sample, at_least, judge, median_ms, rate
from bench.report.table import make_report, make_table, number

BATCH = Row(
    "batch", "many", "awards/s", rate, limit="sql", targets=(at_least(10), at_least(0.9, Quantity.RATIO))
)
SAMPLES = {
    "sql": [Sample(20, 1), Sample(22, 1)],
    "batch": [Sample(10, 1, cpu={"service": 0.001, "redis": 0.0002}), Sample(11, 1)],
}


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (0, "0"),
        (0.1234, "0.12"),
        (1.234, "1.23"),
        (12.34, "12.3"),
        (123.4, "123"),
        (12345.6, "12,346"),
        (math.nan, "-"),
    ],
)
def test_a_number_has_as_many_digits_as_count(figure: float, text: str) -> None:
    assert number(figure) == text


def shown(width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(make_table([judge(BATCH, SAMPLES)], width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_tells_figure_limit_ratio_and_each_target() -> None:
    text = shown(width=180)
    for said in ("batch", "many", "10.5 awards/s", "10.0 - 11.0", "21.0", "0.50", "≥ 10 ", "≥ 0.9 of limit"):
        assert said in text
    assert [line.split()[-1] for line in text.splitlines() if "≥" in line] == ["yes", "no"]


def test_a_narrow_terminal_is_shown_all_that_counts() -> None:
    text = shown(width=100)
    for said in ("batch", "10.5 awards/s", "21.0", "0.50", "≥ 0.9 of limit"):
        assert said in text
    assert "…" not in text


def test_the_report_has_every_round_and_what_the_run_was() -> None:
    report = make_report([judge(BATCH, SAMPLES)], {"rounds": 2})
    assert report["rounds"] == 2
    (row,) = json.loads(json.dumps(report))["rows"]
    assert row["figure"] == {"median": 10.5, "rounds": [10, 11]}
    assert row["limit"] == {"measure": "sql", "median": 21, "rounds": [20, 22]}
    assert row["ratio"] == {"median": 0.5, "rounds": [0.5, 0.5]}
    assert row["targets"] == [
        {"target": "≥ 10", "met": True},
        {"target": "≥ 0.9 of limit", "met": False},
    ]


def test_what_was_not_measured_is_null() -> None:
    line = judge(Row("idle", "", "ms p50", median_ms), {"idle": [Sample(0, 1)]})
    assert make_report([line], {})["rows"][0]["figure"] == {"median": None, "rounds": [None]}
