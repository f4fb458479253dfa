"""What must hold of a board in Redis: it is the fold of the ledger at the position that it names. Pure.

The format of members is written down here a second time, on purpose.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from faults.model.board import Board
from faults.model.claim import Claim, Ranks, weigh_claims
from faults.model.epochs import RECOVERY_SECONDS, Epochs
from faults.model.findings import Finding, Kind
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
    members = {standings.members, str(len(standings.ranks)), str(len(standings.totals))}
    if len(members) > 1:
        yield Finding(Kind.PROJECTION_WRONG, f"{who}: the members are {sorted(members)}")
    try:
        top, rows = _read_ranks(standings), _read_totals(standings)
    except ValueError as error:
        yield Finding(Kind.PROJECTION_WRONG, f"{who}: {error}")
        return
    claim = Claim(
        kind=Kind.PROJECTION_WRONG,
        who=who,
        revision=revision,
        epochs=located,
        top=top,
        size=_GREATEST,
        rows=rows,
        ranks=Ranks.IF_SENT,
    )
    yield from weigh_claims(board, [claim])


def _read_ranks(standings: Standings) -> Sequence[Row]:
    return [
        Row(member[_PREFIX:], int(score), rank, _GREATEST - int(member[:_PREFIX]))
        for rank, (member, score) in enumerate(standings.ranks, start=1)
    ]


def _read_totals(standings: Standings) -> Sequence[Row]:
    pairs = ((user_id, text.split(":")) for user_id, text in standings.totals.items())
    return [Row(user_id, int(total), None, int(reached)) for user_id, (total, reached) in pairs]


def _position(header: Header) -> str:
    return f"{header.revision}-{header.mark}"
