"""The settings of the sample board: those of a file, and seasons that a later start goes on with."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

BOARDS_FILE: Final = Path(__file__).with_name("boards.toml")
_FIRST_SEASON: Final = datetime(2026, 11, 30, tzinfo=UTC)
"""A Monday. All seasons are counted from it, so that a later start names those of an earlier one again."""
_SEASON: Final = timedelta(days=14)
_AHEAD: Final = timedelta(days=366)


def write_boards(now: datetime) -> str:
    """Return settings for `score-service boards apply`, with the seasons until a year from now."""
    count = max(1, -(-(now + _AHEAD - _FIRST_SEASON) // _SEASON))
    return BOARDS_FILE.read_text(encoding="utf-8") + "".join(map(_write_season, range(1, count + 1)))


def _write_season(number: int) -> str:
    starts_at = _FIRST_SEASON + (number - 1) * _SEASON
    return f"""
[[board.season]]
season_id = "{number}"
starts_at = {starts_at.isoformat()}
ends_at = {(starts_at + _SEASON).isoformat()}
"""
