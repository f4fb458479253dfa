"""Whether a position was possible when it was answered. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from faults.model.board import Board
from faults.model.epochs import Epochs
from faults.model.findings import Finding, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Where a board was said to stand."""

    who: str
    revision: int
    position: str | None
    """None where only the revision was answered."""
    began: float
    """When it was asked for."""
    ended: float
    """When it was answered."""
    lag: float
    """For how many seconds after a restore the lost history may be answered."""


def locate(sight: Sight, board: Board, epochs: Epochs) -> int:
    """Return, as a set of bits, of which epochs it is: none where it is of none at that time."""
    near = _epochs_of(sight, board) & epochs.shown(sight.began, sight.ended, sight.lag)
    # All epochs of a position have the same awards up to there, so one of them is enough.
    return near & -near if sight.position else near


def check_sight(sight: Sight, board: Board, epochs: Epochs) -> Iterable[Finding]:
    """Find what is wrong with it."""
    where = f"{sight.who} at {sight.ended:.3f}: {sight.position or sight.revision}"
    if located := locate(sight, board, epochs):
        if board.line_of(located).earliest(sight.revision) > sight.ended:
            yield Finding(Kind.POSITION_EARLY, where)
    elif _epochs_of(sight, board):
        yield Finding(Kind.POSITION_LOST, where)
    else:
        yield Finding(Kind.POSITION_UNKNOWN, where)


def _epochs_of(sight: Sight, board: Board) -> int:
    if sight.position is None:
        return board.epochs_at(sight.revision)
    return board.epochs_of(sight.position) if sight.position.startswith(f"{sight.revision}-") else 0
