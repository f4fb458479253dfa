"""What Redis has of one board, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

ALL_TIME: Final = "all_time"


class Header(NamedTuple):
    """Where a board's projection says that it stands."""

    generation: str
    revision: str
    mark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standings:
    """The standings of all time, or of one period."""

    members: str = ""
    """How many users the header says that there are."""
    ranked: str = ""
    """How many of them it says are ranked; empty where it names no other number."""
    ranks: Sequence[tuple[str, str]] = ()
    """Members with their scores, best first."""
    totals: Mapping[str, str] = field(default_factory=dict)
    """User to `total:reached`, `total:reached:version` or `total:reached:version:flag`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """What Redis has of one board, as it lies there."""

    board_id: str
    read_at: float
    """`time.monotonic()` after the reading."""
    header: Header | None = None
    periods: Mapping[str, Standings] = field(default_factory=dict)
    """By the id of the period; those of all time are under `ALL_TIME`."""
    strays: Sequence[str] = ()
    """Keys that the header does not name and that live for ever."""
