"""What came of an attempt to deliver an event, and what follows from it. Pure."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

REJECTIONS_MAX: Final = 3
"""After so many, an event that a receiver takes for faulty is given up."""
_FIRST_SECONDS: Final = 1.0
_ASKED_MAX: Final = 3_600.0
_FAULTY: Final = frozenset({400, 413, 415, 422})
"""Statuses that are about the event. All others are about the receiver, and the event waits for it."""


class Verdict(Enum):
    """What an attempt ended with."""

    DELIVERED = "delivered"
    REJECTED = "rejected"
    """The receiver takes the event for faulty."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt."""

    verdict: Verdict
    reason: str
    """A status, or a word for why there is none."""
    retry_after: float | None = None
    """Seconds that the receiver asked for."""


def judge_status(status: int, retry_after: str | None) -> Outcome:
    """Return what a status means. Redirects are not followed: an event goes where it is configured to go."""
    if 200 <= status < 300:  # noqa: PLR2004 - RFC 9110, 15.3.
        return Outcome(Verdict.DELIVERED, str(status))
    verdict = Verdict.REJECTED if status in _FAULTY else Verdict.FAILED
    return Outcome(verdict, str(status), _read_seconds(retry_after))


def find_pause(attempts: int, most: float, outcome: Outcome, draw: Callable[[], float]) -> float:
    """Return the seconds to the next attempt, after so many: twice as long each time, spread at random.

    Args:
        attempts: that were made, 1 or more.
        most: seconds.
        outcome: of the last one.
        draw: a number from 0 to 1.
    """
    grown = min(most, _FIRST_SECONDS * 2.0 ** min(attempts - 1, 30))
    return max(outcome.retry_after or 0.0, grown * (0.5 + draw() / 2))


def is_given_up(outcome: Outcome, rejections: int, tried_seconds: float, give_up_seconds: float) -> bool:
    """Return whether an event is a dead letter."""
    return (outcome.verdict is Verdict.REJECTED and rejections >= REJECTIONS_MAX) or (
        tried_seconds >= give_up_seconds
    )


def _read_seconds(text: str | None) -> float | None:
    """Read `Retry-After`, where it is a number of seconds; dates are for caches."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return min(max(seconds, 0.0), _ASKED_MAX) if math.isfinite(seconds) else None
