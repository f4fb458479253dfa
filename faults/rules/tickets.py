"""What must hold of tickets: each is a right to one award, in its time and with its result. Pure.

What holds of any award holds of theirs as well, see `awards`. The wall clocks of the observer and of the
gateways are one, except while a gateway is skewed; then nothing is said of what was late.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from faults.model.board import Board, Placed
from faults.model.epochs import RECOVERY_SECONDS, Epochs
from faults.model.findings import Finding, Kind
from faults.model.history import Fault, Outcome, Redemption
from faults.rules.awards import is_payload

LEEWAY: Final = 5.0
"""Seconds for which a ticket is still good after its end, and before its beginning."""
_ACTION_TYPES: Final = re.compile("instant|ticket:.+")
"""Of the awards that tickets pay: those of the gateways, and those of outside issuers."""
_UNAVAILABLE: Final = "unavailable"
"""The reason of a gateway that could not find out whether a ticket was paid."""


def check_tickets(
    board: Board, shown: Iterable[Redemption], epochs: Epochs, faults: Sequence[Fault]
) -> Iterable[Finding]:
    """Find what does not fit. The board has to know when its awards were answered: see `check_awards`."""
    by_award = defaultdict[str, list[Redemption]](list)
    for one in shown:
        by_award[one.asked.award_id].append(one)
    for placed in board.all():
        yield from _find_givers(placed, by_award[placed.award.award_id])
    times = _Times(epochs, faults)
    for award_id, alike in by_award.items():
        placed_alike = board.find(award_id)
        yield from _check_firsts(alike, placed_alike)
        for one in alike:
            if one.result and not _is_due(one, alike, times):
                yield Finding(Kind.TICKET_UNDUE, str(one))
            if one.outcome is Outcome.REJECTED and _was_good(one, alike, placed_alike, times):
                yield Finding(Kind.TICKET_REJECTED, str(one))


class _Times:
    """What was broken when, as far as it counts for tickets."""

    def __init__(self, epochs: Epochs, faults: Sequence[Fault]) -> None:
        self._epochs = epochs
        self._hindrances = [one for one in faults if _hinders_keeping(one)]

    def are_right(self, one: Redemption) -> bool:
        """Return whether the clocks of all gateways were right during a request."""
        return not self._epochs.were_skewed("gateway", one.began, one.ended)

    def are_the_record(self, placed: Placed, one: Redemption) -> bool:
        """Return whether an award was in the record all through a request."""
        live = self._epochs.live(one.began, one.ended)
        return placed.epochs & live == live

    def could_keep(self, one: Redemption, until: Redemption) -> bool:
        """Return whether nothing hindered a gateway from keeping something, nor took it back later."""
        if any(
            fault.began <= one.ended and one.began <= fault.ended + RECOVERY_SECONDS
            for fault in self._hindrances
        ):
            return False
        return all(
            restore.ended < one.began or restore.began > until.ended or restore.copied > one.ended
            for restore in self._epochs.restores
        )


def _hinders_keeping(fault: Fault) -> bool:
    """Return whether a fault may keep a gateway from PostgreSQL, or a gateway from its work."""
    only_score = fault.target.startswith(("score-", "clients->", "players->"))
    return not (only_score or "->score" in fault.target or fault.target.endswith("valkey"))


def _find_givers(placed: Placed, shown: Iterable[Redemption]) -> Iterable[Finding]:
    award = placed.award
    if not _ACTION_TYPES.fullmatch(award.action_type):
        return
    if not any(one.is_genuine and is_payload(one.asked, award) for one in shown):
        yield Finding(Kind.TICKET_INVENTED, str(award))


def _check_firsts(alike: Iterable[Redemption], placed: Sequence[Placed]) -> Iterable[Finding]:
    """Check that of each award there was one first answer. Histories apart may each have the award."""
    firsts = [one for one in alike if one.result and not one.result.replayed]
    if len(firsts) > max(len(placed), 1):
        yield Finding(Kind.TICKET_DOUBLED, "; ".join(map(str, firsts)))


def _is_due(one: Redemption, alike: Iterable[Redemption], times: _Times) -> bool:
    """Return whether what was answered as paid, now or before, was to be paid."""
    if not one.is_genuine:
        return False
    if one.result and one.result.replayed:
        return True
    is_late = one.shown_at >= one.expires_at + LEEWAY and times.are_right(one)
    return one.has_result and not (is_late and not any(_may_be_kept(other, one, times) for other in alike))


def _may_be_kept(earlier: Redemption, one: Redemption, times: _Times) -> bool:
    """Return whether a gateway may have kept that the ticket, or one for the same award, came in time."""
    is_late = earlier.shown_at >= earlier.expires_at + LEEWAY and times.are_right(earlier)
    return _is_unknown(earlier) and earlier.began < one.ended and not is_late


def _is_unknown(one: Redemption) -> bool:
    return one.outcome is Outcome.UNKNOWN and one.is_genuine and one.has_result


def _was_good(one: Redemption, alike: Iterable[Redemption], placed: Iterable[Placed], times: _Times) -> bool:
    """Return whether a ticket that was rejected was good, or paid before."""
    if not one.is_genuine or not times.are_right(one):
        return False
    was_issued = one.issued_at <= one.shown_at + LEEWAY
    match one.reason:
        case "bad_ticket":
            return was_issued
        case "ticket_data_mismatch":
            return one.has_result or _was_paid(one, placed, times)
        case "ticket_expired":
            in_time = one.has_result and one.answered_at < one.expires_at + LEEWAY
            was_kept = one.has_result and any(_was_kept(other, one, times) for other in alike)
            return in_time or was_kept or _was_paid(one, placed, times)
    return False


def _was_paid(one: Redemption, placed: Iterable[Placed], times: _Times) -> bool:
    return any(each.answered_at < one.began and times.are_the_record(each, one) for each in placed)


def _was_kept(earlier: Redemption, one: Redemption, times: _Times) -> bool:
    """Return whether a gateway has kept that the ticket, or one for the same award, came in time."""
    return (
        _is_unknown(earlier)
        and earlier.reason == _UNAVAILABLE
        and earlier.ended < one.began
        and earlier.answered_at < earlier.expires_at + LEEWAY
        and times.are_right(earlier)
        and times.could_keep(earlier, one)
    )
