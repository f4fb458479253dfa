"""What must hold between the reversals that were asked for, their answers and the ledger. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import inf

from faults.model.board import Board, Line
from faults.model.corrections import Reversal
from faults.model.epochs import Epochs
from faults.model.findings import Finding, Kind
from faults.model.history import AwardCall, Chosen, Outcome, PlanCall, ReversalCall
from faults.model.ledger import Award

RIVAL = "AWARD_REVERSED"
"""The reason of a call where another reversal stands."""
UNKNOWN_AWARD = frozenset({"AWARD_NOT_FOUND", "BOARD_NOT_FOUND"})
ARCHIVED = "HISTORY_ARCHIVED"
"""The reason of a call for an award that is archived, and was not taken back before."""


def check_reversals(
    board: Board,
    calls: Sequence[ReversalCall],
    plans: Sequence[PlanCall],
    awards: Iterable[AwardCall],
    epochs: Epochs,
) -> Iterable[Finding]:
    """Find what does not fit. The board knows when its awards were first answered."""
    book = _Book(board)
    yield from _check_askers(book, calls, plans)
    for call in calls:
        live = epochs.live(call.began, call.ended)
        if call.undone:
            yield from _check_made(call, book.find(call.award_id, call.undone.award_id, live), board)
        elif call.reason in UNKNOWN_AWARD:
            yield from _check_unknown(call, board, live)
        elif call.reason == ARCHIVED:
            yield from _check_archived(call, board, live)
    for plan in plans:
        if plan.outcome is Outcome.MADE:
            yield from _check_plan(plan, board, epochs)
    yield from _check_copies(board, calls, book, epochs)
    yield from _check_told(awards, calls, book, epochs)


class _Book:
    """The reversals of all epochs, each with the set of bits of those that have it."""

    def __init__(self, board: Board) -> None:
        self.epochs = defaultdict[Reversal, int](int)
        self._by_award = defaultdict[str, set[Reversal]](set)
        for epoch, line in board.lines.items():
            for reversal in line.reversals():
                self.epochs[reversal] |= 1 << epoch
                self._by_award[reversal.award_id].add(reversal)

    def of_award(self, award_id: str) -> Iterable[Reversal]:
        """Return the reversals of an award: in histories apart there may be several."""
        return self._by_award.get(award_id, ())

    def find(self, asked: str, told: str, live: int) -> list[tuple[Reversal, int]]:
        """Find those of two awards that some epochs have, with the epochs."""
        found = {*self.of_award(asked), *self.of_award(told)}
        return [(one, self.epochs[one] & live) for one in found if self.epochs[one] & live]


def _check_askers(book: _Book, calls: Iterable[ReversalCall], plans: Iterable[PlanCall]) -> Iterable[Finding]:
    asked = {(call.award_id, call.reversal_id) for call in calls}
    notes = {plan.note for plan in plans}
    for reversal in book.epochs:
        if (reversal.award_id, reversal.reversal_id) not in asked and reversal.reason not in notes:
            yield Finding(Kind.REVERSAL_INVENTED, str(reversal))


def _check_made(call: ReversalCall, near: Sequence[tuple[Reversal, int]], board: Board) -> Iterable[Finding]:
    """Check an answer that names the reversal that stands: the one asked for, or its rival."""
    if not near:
        yield Finding(Kind.REVERSAL_LOST, str(call))
        return
    # One that a failover lost and a retry made again is in both histories, by different commits.
    placed = ((reversal, line) for reversal, epochs in near for line in board.lines_of(epochs))
    if not any(_agrees(call, reversal, line) for reversal, line in placed):
        yield Finding(Kind.REVERSAL_WRONG, f"{call} and {near[0][0]}")


def _agrees(call: ReversalCall, reversal: Reversal, line: Line) -> bool:
    undone = call.undone
    if undone is None:
        return False
    told = undone.award_id, undone.reversal_id, undone.user_id, undone.points, undone.total, undone.revision
    due = (
        reversal.award_id,
        reversal.reversal_id,
        reversal.user_id,
        reversal.points,
        reversal.total,
        reversal.revision,
    )
    is_asked = (reversal.award_id, reversal.reversal_id) == (call.award_id, call.reversal_id)
    is_rival = reversal.award_id == call.award_id or reversal.reversal_id == call.reversal_id
    is_right = is_asked if call.outcome is Outcome.MADE else is_rival and not is_asked
    # Of what is archived, the commit at the cut is told.
    ends = [cut.revision for cut in line.cuts if reversal.revision < cut.revision <= line.cut_by(call.ended)]
    positions = {line.position_of(end) for end in (reversal.revision, *ends)}
    return told == due and undone.position in positions and is_right


def _check_unknown(call: ReversalCall, board: Board, live: int) -> Iterable[Finding]:
    for placed in board.find(call.award_id):
        if placed.answered_at < call.began and placed.epochs & live == live:
            yield Finding(Kind.REVERSAL_REJECTED, f"{call} and {placed.award}")


def _check_archived(call: ReversalCall, board: Board, live: int) -> Iterable[Finding]:
    near = board.find(call.award_id)
    cuts = [
        (one.award.revision, line.cut_by(call.ended))
        for one in near
        for line in board.lines_of(one.epochs & live)
    ]
    if not any(revision <= cut for revision, cut in cuts):
        yield Finding(Kind.ARCHIVED_WRONG, f"{call}: award and cut {cuts}")


def _check_plan(plan: PlanCall, board: Board, epochs: Epochs) -> Iterable[Finding]:
    """Check that everything that a plan chose is gone in the epoch in which it was answered as applied."""
    live = epochs.live(plan.began, plan.ended)
    if plan.reversals != plan.awards:
        yield Finding(Kind.PLAN_UNFINISHED, str(plan))
    if live.bit_count() > 1:
        return
    line = board.line_of(live)
    gone = {reversal.award_id for reversal in line.reversals()}
    cut = line.cut_by(plan.ended)
    chosen = [award for award in _select(line, plan.chosen) if award.revision > cut]
    left = [award for award in chosen if award.award_id not in gone]
    if left:
        yield Finding(Kind.PLAN_UNFINISHED, f"{plan}: {len(left)} are left, as {left[0]}")


def _select(line: Line, chosen: Chosen) -> Iterator[Award]:
    for award in line.awards_upto(chosen.revision):
        if (award.user_id, award.action_id) == (chosen.user_id, chosen.action_id):
            yield award


def _check_copies(
    board: Board, calls: Sequence[ReversalCall], book: _Book, epochs: Epochs
) -> Iterable[Finding]:
    """Check that reversals that were answered as made before a copy was begun are there after its restore.

    A standby that took over is a copy of all that was ever answered as made in the epoch before it.
    """
    answered = _note_answers(calls)
    for epoch, restore in enumerate(epochs.restores, start=1):
        is_standby = restore.copied == inf
        copied = 1 << epoch - 1 if is_standby else epochs.live(restore.copied, restore.copied)
        kind = Kind.REVERSAL_LOST if is_standby else Kind.REVERSAL_NOT_COPIED
        for reversal, held in book.epochs.items():
            at = answered.get((reversal.award_id, reversal.reversal_id, reversal.revision), inf)
            if at < restore.copied and held & copied == copied and not held >> epoch & 1:
                yield Finding(kind, f"{board.board_id}: {reversal}, acknowledged at {at}, {restore}")


def _note_answers(calls: Iterable[ReversalCall]) -> dict[tuple[str, str, int], float]:
    """Return when each reversal was first answered as made."""
    answered = dict[tuple[str, str, int], float]()
    for call in calls:
        if call.undone:
            key = call.undone.award_id, call.undone.reversal_id, call.undone.revision
            answered[key] = min(answered.get(key, inf), call.ended)
    return answered


def _check_told(
    awards: Iterable[AwardCall], calls: Sequence[ReversalCall], book: _Book, epochs: Epochs
) -> Iterable[Finding]:
    """Check that answers to awards tell that these were taken back: from when that was answered."""
    answered = _note_answers(calls)
    for call in awards:
        if call.result is None or call.result.reversed is None:
            continue
        live = epochs.live(call.began, call.ended)
        near = [one for one in book.of_award(call.asked.award_id) if book.epochs[one] & live]
        if call.result.reversed and not near:
            yield Finding(Kind.REVERSAL_UNTOLD, f"{call}: it stands")
        for reversal in near:
            at = answered.get((reversal.award_id, reversal.reversal_id, reversal.revision), inf)
            is_sure = at < call.began and book.epochs[reversal] & live == live
            if is_sure and not call.result.reversed:
                yield Finding(Kind.REVERSAL_UNTOLD, f"{call} and {reversal}")
