"""Reads what Redis has of each board, each board in one transaction.

The names and formats of the keys are written down here a second time, on purpose.
"""

from collections.abc import Iterable, Mapping, Sequence
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
    ranks: Sequence[tuple[str, int]] = ()
    """Members with their scores, best first."""
    totals: Mapping[str, str] = field(default_factory=dict)
    """User to `total:reached`."""
    strays: Sequence[str] = ()
    """Keys of other generations that live for ever."""


async def read_projections(url: str, prefix: str, board_ids: Iterable[str]) -> list[Projection]:
    """Read boards out of Redis.

    Args:
        url: with the password, if there is one.
        prefix: what all keys of the score service begin with.
        board_ids: of the boards.

    Raises:
        redis.RedisError: Redis is away.
    """
    raise NotImplementedError
