"""Settings of the boards of a run: their seasons follow each other all the time.

The last board has days as well, which do not end in a run: so it is never archived.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

_SEASON: Final = timedelta(seconds=8)
_GRACE_SECONDS: Final = 3
_SEASONS: Final = 400
"""Enough for fifty minutes."""


def write_boards(board_ids: Iterable[str], start: datetime) -> str:
    """Write the file of `score-service boards apply`; the first season begins at a time."""
    *archived, other = board_ids
    lines = [line for board_id in archived for line in _write_board(board_id, start)]
    return "\n".join([*lines, *_write_board(other, start, ["day"])])


def _write_board(board_id: str, start: datetime, periods: Sequence[str] = ()) -> Iterator[str]:
    yield from ("[[board]]", f'board_id = "{board_id}"', 'time_zone = "UTC"')
    yield f"periods = {list(periods)}"
    yield from (f"grace_seconds = {_GRACE_SECONDS}", 'late = "current"', "keep = 1000")
    for number in range(_SEASONS):
        starts_at = start + number * _SEASON
        yield from ("[[board.season]]", f'season_id = "{number}"')
        yield f"starts_at = {starts_at.isoformat()}"
        yield f"ends_at = {(starts_at + _SEASON).isoformat()}"
