"""Numbers, times and names in sentences."""

from datetime import timedelta

import pytest

from score_service.certificates.phrases import listed, number, plain, span


def test_numbers_are_one_or_several() -> None:
    assert [number(count, "award") for count in (0, 1, 2, 12_345)] == [
        "0 awards",
        "1 award",
        "2 awards",
        "12,345 awards",
    ]
    assert [number(count, "entry", "entries") for count in (1, 2)] == ["1 entry", "2 entries"]


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(), "0 minutes"),
        (timedelta(seconds=61), "1 minute"),
        (timedelta(minutes=119), "119 minutes"),
        (timedelta(minutes=120), "2 hours"),
        (timedelta(hours=47, minutes=59), "47 hours"),
        (timedelta(hours=48), "2 days"),
        (timedelta(days=3650), "3,650 days"),
    ],
)
def test_a_span_has_the_most_fitting_unit(length: timedelta, text: str) -> None:
    assert span(length) == text


def test_control_characters_are_spelled_out() -> None:
    assert plain("a\x1b[2J\n\u202eb") == "a\\u001b[2J\\u000a\\u202eb"
    assert listed(["é", "\r"]) == "é, \\u000d"
