"""Tickets that are shown, made up: a right request, of which each test bends one thing."""

from dataclasses import replace
from typing import Any

from tests.faults.synthetic import BOARD, make_awards, make_ledger

from faults.model.history import Asked, Outcome, Redemption, Result
from faults.rules.tickets import LEEWAY

NOW = 1_800_000_000
"""The wall clock when the monotonic one is at 0."""
LEDGER = make_ledger(
    [
        award._replace(action_type="instant", action_id="wave")
        for award in make_awards([("ada", 3), ("ben", 3)])
    ]
)
AWARD = LEDGER.awards[0]
END = 2
"""When the ticket of the first award expires; it is late from `END + LEEWAY` on."""
LATE = END + LEEWAY
PAID = Result(AWARD.points, AWARD.total_after, replayed=False)
USED = PAID._replace(replayed=True)


def show(at: float = 1.0, place: int = 0, **changes: Any) -> Redemption:
    """Show the ticket of an award, which pays it."""
    award = LEDGER.awards[place]
    shown = Redemption(
        caller="bearer",
        asked=Asked(BOARD, award.award_id, award.user_id, award.points, "instant", "wave"),
        began=at,
        ended=at + 0.5,
        outcome=Outcome.MADE,
        result=Result(award.points, award.total_after, replayed=False),
        shown_at=NOW + at,
        issued_at=NOW,
        expires_at=NOW + END,
        is_genuine=True,
        has_result=True,
    )
    return replace(shown, **changes)


def rejected(at: float, reason: str, **changes: Any) -> Redemption:
    return show(at, outcome=Outcome.REJECTED, result=None, reason=reason, **changes)


def unknown(at: float, reason: str = "unavailable", **changes: Any) -> Redemption:
    return show(at, outcome=Outcome.UNKNOWN, result=None, reason=reason, **changes)
