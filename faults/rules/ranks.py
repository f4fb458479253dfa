"""Whether the ranks in answers to awards were possible. Pure.

A rank is that of some position at or after the award. While a user wins nothing, others can only pass: the
rank right after an award of the user's own is the best until the next one, and the one right before that one
is the worst.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from faults.model.board import Board, Line
from faults.model.epochs import Epochs
from faults.model.findings import Finding, Kind
from faults.model.fold import Fold, fold_at
from faults.model.history import AwardCall
from faults.model.ledger import Award


class _Move(NamedTuple):
    """What an award did to its user's rank."""

    revision: int
    before: int
    after: int


_Moves: TypeAlias = dict[str, list[_Move]]


def check_ranks(board: Board, calls: Iterable[AwardCall], epochs: Epochs, lag: float) -> Iterable[Finding]:
    """Find ranks that their users never had.

    Args:
        board: one that knows when its awards were asked for.
        calls: those of the board.
        epochs: of the run. Near a restore, a rank may be of the lost history, and is not judged.
        lag: for how many seconds after a restore that is so.
    """
    by_epoch = defaultdict[int, list[AwardCall]](list)
    for call in calls:
        if call.result and call.result.rank is not None:
            shown = epochs.shown(call.began, call.ended, lag)
            if shown.bit_count() == 1:
                by_epoch[shown.bit_length() - 1].append(call)
    for epoch, answered in by_epoch.items():
        yield from _check_line(board.lines[epoch], epoch, answered, board)


def _check_line(line: Line, epoch: int, calls: Sequence[AwardCall], board: Board) -> Iterable[Finding]:
    moves, answered = _trace_ranks(line), list[tuple[int, AwardCall, Award]]()
    for call in calls:
        for placed in board.find(call.asked.award_id):
            if placed.epochs >> epoch & 1:
                last = max(line.furthest(call.ended), line.end_after(placed.award.revision))
                answered.append((last, call, placed.award))
    answered.sort(key=lambda one: one[0])
    for (last, call, award), fold in zip(
        answered, fold_at(line.awards, [one[0] for one in answered]), strict=True
    ):
        best, worst = _bounds(moves[award.user_id], line.end_after(award.revision), last)
        worst = max(worst, fold.rank(award.user_id) or 0)
        if call.result and call.result.rank is not None and not best <= call.result.rank <= worst:
            yield Finding(Kind.RANK_WRONG, f"{call}: it was {best} to {worst} then")


def _trace_ranks(line: Line) -> _Moves:
    """List how each award moved its user."""
    moves, fold = defaultdict[str, list[_Move]](list), Fold()
    for award in line.awards:
        before = fold.rank(award.user_id) or len(fold) + 1
        fold.take(award)
        moves[award.user_id].append(_Move(award.revision, before, fold.rank(award.user_id) or 0))
    return moves


def _bounds(moves: Sequence[_Move], first: int, last: int) -> tuple[int, int]:
    """Return the best rank between two revisions, and the worst before a move."""
    begin = bisect_right(moves, first, key=lambda move: move.revision) - 1
    end = bisect_right(moves, last, key=lambda move: move.revision)
    best = min(move.after for move in moves[begin:end])
    return best, max((move.before for move in moves[begin + 1 : end]), default=0)
