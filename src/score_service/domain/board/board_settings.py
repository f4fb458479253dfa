"""The settings of a board. Pure.

What is right for each of them is checked before one is made, see `periods`.
"""

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Final

GRACE_DEFAULT: Final = 600
GRACE_MAX: Final = 86_400
KEEP_DEFAULT: Final = 100
KEEP_MAX: Final = 10_000
REVIEW_MAX: Final = 30 * 86_400
SEASONS_MAX: Final = 1_000


class LatePolicy(enum.Enum):
    """What becomes of an award that belongs to a period that is closed already."""

    CURRENT = "current"
    """It counts in the current period of the same kind."""
    ALL_TIME = "all_time"
    """It counts in no period of that kind."""
    REFUSE = "refuse"
    """It is refused as a whole."""


@dataclass(frozen=True, slots=True)
class Season:
    """A period with a name, and a start and an end of its own. Instants are aware, in UTC."""

    season_id: str
    """1 to 64 characters of `[A-Za-z0-9._-]`."""
    starts_at: datetime
    ends_at: datetime
    review_seconds: int = 0
    """How long corrections still count after it has closed for awards, 0 to `REVIEW_MAX`."""


@dataclass(frozen=True, slots=True)
class BoardSettings:
    """How a board counts in periods."""

    time_zone: str = "UTC"
    """A name of the pinned zone data."""
    periods: tuple[str, ...] = ()
    """Which of `day`, `week` and `month` it has, in this order."""
    seasons: tuple[Season, ...] = ()
    """In the order of their starts, without overlap."""
    grace_seconds: int = GRACE_DEFAULT
    """How long after its end a period takes awards that happened in it, 0 to `GRACE_MAX`."""
    late: LatePolicy = LatePolicy.CURRENT
    keep: int = KEEP_DEFAULT
    """How many final periods of a kind are kept in full, 1 to `KEEP_MAX`."""
