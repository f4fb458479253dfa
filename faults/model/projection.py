"""What Redis has of one board, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Header(NamedTuple):
    """What a board's projection says of itself."""

    generation: str
    revision: str
    mark: str
    members: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """What Redis has of one board, as it lies there."""

    board_id: str
    read_at: float
    """`time.monotonic()` after the reading."""
    header: Header | None = None
    ranks: Sequence[tuple[str, str]] = ()
    """Members with their scores, best first."""
    totals: Mapping[str, str] = field(default_factory=dict)
    """User to `total:reached`."""
    strays: Sequence[str] = ()
    """Keys of other generations that live for ever."""
