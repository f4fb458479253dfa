"""What must hold of a board in Redis: it is the fold of the ledger at the position that it names. Pure.

The formats of members and totals are written down here a second time, on purpose.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from faults.model.board import Board, Line
from faults.model.claim import Claim, weigh_claims
from faults.model.epochs import RECOVERY_SECONDS, Epochs
from faults.model.findings import Finding, Kind
from faults.model.fold import Fold, fold_at
from faults.model.history import Row
from faults.model.ledger import Period
from faults.model.projection import ALL_TIME, Header, Projection, Standings

_PREFIX: Final = 16
"""Digits before the user id in a member: the distance of the revision reached from the greatest number."""
_GREATEST: Final = 2**53 - 1


def check_projection(board: Board, projection: Projection | None) -> Iterable[Finding]:
    """Find what is wrong with a board after the last fault was healed and the load had ended."""
    end = board.end.ledger
    if projection is None or projection.header is None:
        if end.head:
            yield Finding(Kind.PROJECTION_MISSING, board.board_id)
        return
    header, position = projection.header, _position(projection.header)
    last = 1 << max(board.lines)
    if not board.epochs_of(position) & last or not end.head:
        yield Finding(Kind.PROJECTION_FOREIGN, f"{board.board_id}: {header}")
        return
    if position != end.position:
        where = f"{board.board_id}: {position}, where {end.position} is the head"
        yield Finding(Kind.PROJECTION_BEHIND, where)
    yield from (Finding(Kind.PROJECTION_STRAY, key) for key in projection.strays)
    yield from _check_content(board, projection, header, last)


def check_samples(board: Board, samples: Iterable[Projection], epochs: Epochs) -> Iterable[Finding]:
    """Find what is wrong with boards at any time: they may be missing, behind, or of a lost history."""
    for sample in samples:
        if sample.header is None:
            continue
        near = epochs.shown(sample.read_at, sample.read_at, RECOVERY_SECONDS)
        if located := board.epochs_of(_position(sample.header)) & near:
            yield from _check_content(board, sample, sample.header, located & -located)
        else:
            where = f"{board.board_id} at {sample.read_at:.3f}: {sample.header}"
            yield Finding(Kind.PROJECTION_FOREIGN, where)


def _check_content(board: Board, projection: Projection, header: Header, located: int) -> Iterable[Finding]:
    """Check the standings of all time, and of the periods that are open at the position, and of no others."""
    who, revision = f"{board.board_id} at {projection.read_at:.3f}: {header}", int(header.revision)
    ledger = board.line_of(located).ledger
    due = {ALL_TIME} | {period.period_id for period in ledger.periods if _is_open(period, revision)}
    if due != projection.periods.keys():
        where = f"{who}: {sorted(projection.periods)}, due are {sorted(due)}"
        yield Finding(Kind.PROJECTION_WRONG, where)
    for period_id, standings in projection.periods.items():
        shown = board if period_id == ALL_TIME else board.of_period(period_id)
        yield from _check_standings(shown, standings, f"{who}, {period_id}", revision, located)


def _is_open(period: Period, revision: int) -> bool:
    """Return whether somebody has points in a period at a revision, and it is not final there."""
    is_final = period.entry_revision is not None and period.entry_revision <= revision
    return period.opened_revision <= revision and not is_final


def _check_standings(
    board: Board, standings: Standings, who: str, revision: int, located: int
) -> Iterable[Finding]:
    counted = standings.members, standings.ranked or standings.members
    if counted != (str(len(standings.totals)), str(len(standings.ranks))):
        where = f"{who}: {len(standings.totals)} and {len(standings.ranks)}, the header says {counted}"
        yield Finding(Kind.PROJECTION_WRONG, where)
    try:
        top = _read_ranks(standings)
    except ValueError as error:
        yield Finding(Kind.PROJECTION_WRONG, f"{who}: {error}")
        return
    claim = Claim(
        kind=Kind.PROJECTION_WRONG, who=who, revision=revision, epochs=located, top=top, size=_GREATEST
    )
    yield from weigh_claims(board, [claim])
    yield from _check_totals(board.line_of(located), standings, who, revision)


def _check_totals(line: Line, standings: Standings, who: str, revision: int) -> Iterable[Finding]:
    """Check the totals of everybody who ever had points, and what changed them last."""
    (fold,) = fold_at(line.steps, [revision])
    due = {user_id: _write_total(fold, user_id) for user_id in fold.members()}
    for user_id in due.keys() | standings.totals.keys():
        if standings.totals.get(user_id) != due.get(user_id):
            where = f"{who}, {user_id}: {standings.totals.get(user_id)}, due is {due.get(user_id)}"
            yield Finding(Kind.PROJECTION_WRONG, where)


def _write_total(fold: Fold, user_id: str) -> str:
    """Write the total, the revision reached, the one that changed it if that is another, and the flag."""
    stand, version, flag = fold.find(user_id), fold.version(user_id), fold.flag(user_id)
    total, reached = (stand.row.total, stand.row.reached_revision or 0) if stand else (0, 0)
    text = f"{total}:{reached}"
    if flag:
        return f"{text}:{version}:{flag}"
    return text if version == reached else f"{text}:{version}"


def _read_ranks(standings: Standings) -> Sequence[Row]:
    return [
        Row(member[_PREFIX:], int(score), rank, _GREATEST - int(member[:_PREFIX]))
        for rank, (member, score) in enumerate(standings.ranks, start=1)
    ]


def _position(header: Header) -> str:
    return f"{header.revision}-{header.mark}"
