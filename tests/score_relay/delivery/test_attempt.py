"""What follows from an attempt: delivered, tried again after a pause, or given up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from score_relay.delivery.attempt import Outcome, Verdict, find_pause, is_given_up, judge_status


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.DELIVERED),
        (204, Verdict.DELIVERED),
        (299, Verdict.DELIVERED),
        (301, Verdict.FAILED),
        (307, Verdict.FAILED),
        (400, Verdict.REJECTED),
        (401, Verdict.FAILED),
        (404, Verdict.FAILED),
        (410, Verdict.FAILED),
        (413, Verdict.REJECTED),
        (422, Verdict.REJECTED),
        (429, Verdict.FAILED),
        (500, Verdict.FAILED),
        (503, Verdict.FAILED),
    ],
)
def test_a_status_is_about_the_event_or_about_the_receiver(status: int, verdict: Verdict) -> None:
    assert judge_status(status, None) == Outcome(verdict, str(status))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("-5", 0.0),
        ("1e9", 3600.0),
        ("nan", None),
        ("inf", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("", None),
        (None, None),
    ],
)
def test_a_receiver_may_ask_for_a_pause_within_bounds(text: str | None, seconds: float | None) -> None:
    assert judge_status(503, text).retry_after == seconds


@given(st.integers(1, 10**6), st.floats(0.001, 3600), st.floats(0, 1), st.none() | st.floats(0, 3600))
def test_pauses_grow_within_bounds(attempts: int, most: float, drawn: float, asked: float | None) -> None:
    pause = find_pause(attempts, most, Outcome(Verdict.FAILED, "503", asked), lambda: drawn)

    grown = min(most, 2.0 ** min(attempts - 1, 30))
    assert max(asked or 0.0, grown / 2) <= pause <= max(asked or 0.0, grown)


def test_an_event_is_given_up_after_three_rejections_or_when_its_time_is_over() -> None:
    rejected, failed = Outcome(Verdict.REJECTED, "422"), Outcome(Verdict.FAILED, "503")

    assert not is_given_up(rejected, 2, 1, 100)
    assert is_given_up(rejected, 3, 1, 100)
    assert not is_given_up(failed, 3, 99, 100)
    assert is_given_up(failed, 0, 100, 100)
