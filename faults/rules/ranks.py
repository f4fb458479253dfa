"""Whether the ranks in answers to awards were possible. Pure.

A rank is that of some position at or after the award. While a user's own awards stay what they are, those of
others can only pass: the rank right after a change is the best until the next one, and the one right before
that one is the worst. Each correction of others may move the user by one place more. Who is hidden has none.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from faults.model.board import Board, Line
from faults.model.corrections import Visibility
from faults.model.epochs import Epochs
from faults.model.findings import Finding, Kind
from faults.model.fold import Fold, fold_at
from faults.model.history import AwardCall
from faults.model.ledger import Award


class _Move(NamedTuple):
    """What an award, or that it was taken back, did to its user's rank."""

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
        answered, fold_at(line.steps, [one[0] for one in answered]), strict=True
    ):
        first = line.end_after(award.revision)
        best, worst = _bounds(moves[award.user_id], first, last)
        worst = max(worst, fold.place(award.user_id) or len(fold) + 1)
        slack = len(line.corrections_between(first, last))
        if call.result is None or call.result.rank is None:
            continue
        if line.is_hidden(award.user_id, first, last):
            yield Finding(Kind.RANK_WRONG, f"{call}: the user was hidden")
        elif not best - slack <= call.result.rank <= worst + slack:
            yield Finding(Kind.RANK_WRONG, f"{call}: it was {best} to {worst} then, and {slack} corrections")


def _trace_ranks(line: Line) -> _Moves:
    """List how each award, or that it was taken back, moved its user: also one who is hidden, as if not."""
    moves, fold = defaultdict[str, list[_Move]](list), Fold()
    for step in line.steps:
        before = fold.place(step.user_id) or len(fold) + 1
        fold.take(step)
        if not isinstance(step, Visibility):
            after = fold.place(step.user_id) or len(fold) + 1
            moves[step.user_id].append(_Move(step.revision, before, after))
    return moves


def _bounds(moves: Sequence[_Move], first: int, last: int) -> tuple[int, int]:
    """Return the best rank between two revisions, and the worst before a move."""
    begin = bisect_right(moves, first, key=lambda move: move.revision) - 1
    end = bisect_right(moves, last, key=lambda move: move.revision)
    best = min(move.after for move in moves[begin:end])
    return best, max((move.before for move in moves[begin + 1 : end]), default=0)
