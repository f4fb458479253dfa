"""What must hold between the requested awards, their answers and the ledger. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import inf

from faults.model.board import Board, Line, Placed
from faults.model.epochs import Epochs
from faults.model.findings import Finding, Kind
from faults.model.history import Asked, AwardCall, Outcome, Result
from faults.model.ledger import Award

CONFLICT = "AWARD_CONFLICT"
"""The reason of a call whose award id was used for another award."""
EXPIRY_LEEWAY = 1.0
"""Seconds after the end of its caller's certificate in which a call may begin and be answered. Both sides
read one clock; this is for a busy machine."""


def check_awards(board: Board, calls: Sequence[AwardCall], epochs: Epochs) -> Iterable[Finding]:
    """Find what does not fit, and note in the board when each award was requested and first answered."""
    by_award = defaultdict[str, list[AwardCall]](list)
    for call in calls:
        by_award[call.asked.award_id].append(call)
    for placed in board.all():
        yield from _find_askers(placed, by_award[placed.award.award_id])
    board.note_times()
    for award_id, alike in by_award.items():
        for call in alike:
            yield from _check_call(call, alike, board.find(award_id), board, epochs)
            yield from _check_certificate(call, epochs)
    yield from _check_copies(board, epochs)
    for line in board.lines.values():
        yield from check_order(line)


def _find_askers(placed: Placed, calls: Iterable[AwardCall]) -> Iterable[Finding]:
    placed.asked = min((call.began for call in calls if may_make(call.asked, placed.award)), default=inf)
    if placed.asked == inf:
        yield Finding(Kind.AWARD_INVENTED, str(placed.award))


def _check_call(
    call: AwardCall, alike: Sequence[AwardCall], placed: Sequence[Placed], board: Board, epochs: Epochs
) -> Iterable[Finding]:
    if not placed and call.outcome in {Outcome.UNKNOWN, Outcome.REJECTED} and call.reason != CONFLICT:
        return
    live = epochs.live(call.began, call.ended)
    near = [one for one in placed if one.epochs & live]
    if call.result:
        yield from _check_result(call, call.result, near, board)
    elif call.outcome is Outcome.ARCHIVED:
        yield from _check_archived(call, near, board, live)
    elif call.outcome is Outcome.REJECTED:
        yield from _check_rejection(call, alike, near)


def _check_result(call: AwardCall, result: Result, near: Sequence[Placed], board: Board) -> Iterable[Finding]:
    if not near:
        yield Finding(Kind.AWARD_LOST, str(call))
        return
    good = [one for one in near if is_payload(call.asked, one.award)]
    if not good:
        yield Finding(Kind.PAYLOAD_WRONG, f"{call} and {near[0].award}")
        return
    right = [one for one in good if _agrees(result, one, board)]
    if not right:
        yield Finding(Kind.RESULT_WRONG, f"{call} and {good[0].award}")
        return
    if len(right) == 1:
        right[0].answered_at = min(right[0].answered_at, call.ended)
    if not any(_replays(call, one.award) for one in right):
        yield Finding(Kind.REPLAY_WRONG, f"{call} and {right[0].award}")


def _check_archived(call: AwardCall, near: Sequence[Placed], board: Board, live: int) -> Iterable[Finding]:
    """Check that there is an award with that id up to a cut. Whether it is the one asked for is not told."""
    told = [one for one in near if call.revision in {None, one.award.revision}]
    if not any(
        one.award.revision <= line.cut_by(call.ended)
        for one in told
        for line in board.lines_of(one.epochs & live)
    ):
        yield Finding(Kind.ARCHIVED_WRONG, f"{call} and {near[0].award if near else None}")


def _check_rejection(
    call: AwardCall, alike: Sequence[AwardCall], near: Sequence[Placed]
) -> Iterable[Finding]:
    if call.reason == CONFLICT and any(not is_payload(call.asked, placed.award) for placed in near):
        return  # Where an epoch ended meanwhile, the one may have this award and the other its rival.
    others = [one for one in alike if one.outcome is not Outcome.REJECTED]
    for placed in near:
        award = placed.award
        if may_make(call.asked, award) and not any(may_make(other.asked, award) for other in others):
            yield Finding(Kind.REJECTED_MADE, f"{call} and {award}")
    if call.reason == CONFLICT and all(is_payload(call.asked, placed.award) for placed in near):
        yield Finding(Kind.CONFLICT_WRONG, str(call))


def _check_certificate(call: AwardCall, epochs: Epochs) -> Iterable[Finding]:
    """Check that who asks with a certificate that has expired is told nothing of any award."""
    is_late = call.expired_for is not None and call.expired_for > EXPIRY_LEEWAY
    is_answered = call.outcome in {Outcome.MADE, Outcome.ARCHIVED}
    if is_late and is_answered and not epochs.were_skewed("score", call.began, call.ended):
        yield Finding(Kind.EXPIRED_ANSWERED, str(call))


def _check_copies(board: Board, epochs: Epochs) -> Iterable[Finding]:
    """Check that awards answered as made before a copy was begun are there after it was restored.

    A standby that took over is a copy of all that was ever answered as made in the epoch before it.
    """
    for epoch, restore in enumerate(epochs.restores, start=1):
        is_standby = restore.copied == inf
        copied = 1 << epoch - 1 if is_standby else epochs.live(restore.copied, restore.copied)
        kind = Kind.AWARD_LOST if is_standby else Kind.AWARD_NOT_COPIED
        for placed in board.all():
            is_due = placed.answered_at < restore.copied and placed.epochs & copied == copied
            if is_due and not placed.epochs >> epoch & 1:
                yield Finding(kind, f"{placed.award}, acknowledged at {placed.answered_at}, {restore}")


def check_order(line: Line) -> Iterable[Finding]:
    """Check that no award was answered as made before one of a lower revision was asked for."""
    for placed in line.placed:
        revision = placed.award.revision
        if placed.answered_at < line.earliest(revision - 1):
            yield Finding(
                Kind.ORDER_WRONG,
                f"{placed.award}, acknowledged at {placed.answered_at} before an earlier one",
            )


def may_make(asked: Asked, award: Award) -> bool:
    """Return whether what was asked for is this award, as far as it is known."""
    return is_payload(asked, award) and asked.request_id in {None, award.request_id}


def is_payload(asked: Asked, award: Award) -> bool:
    """Return whether the award is for the same user, points and action."""
    had = (award.user_id, award.points, award.action_type, award.action_id)
    return (asked.user_id, asked.points, asked.action_type, asked.action_id) == had


def _agrees(result: Result, placed: Placed, board: Board) -> bool:
    award = placed.award
    if (result.points, result.total) != (award.points, award.total_after):
        return False
    if result.revision is not None and result.revision != award.revision:
        return False
    position = board.line_of(placed.epochs).position_of(award.revision)
    return result.position in {None, position}


def _replays(call: AwardCall, award: Award) -> bool:
    """Return whether the answer is right on whether another request made the award, where that is known."""
    if call.result is None or call.result.replayed is None or call.asked.request_id is None:
        return True
    return call.result.replayed == (call.asked.request_id != award.request_id)
