"""The rows of a leaderboard as players see them, and what tells two of them apart. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from score_client.types import Standing


class Entry(BaseModel):
    """One row of the leaderboard."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, validate_by_name=True)

    rank: int | None
    """1 for the best; null where it cannot be known."""
    user_id: str
    username: str | None
    """Null for a user that this gateway does not know."""
    score: int


def name_entries(standings: Iterable[Standing], usernames: Mapping[str, str | None]) -> tuple[Entry, ...]:
    """Turn standings into rows, in their order."""
    return tuple(
        Entry(
            rank=standing.rank,
            user_id=standing.user_id,
            username=usernames.get(standing.user_id),
            score=standing.total,
        )
        for standing in standings
    )


def changed_ranks(before: Sequence[Entry], after: Sequence[Entry]) -> tuple[int, ...]:
    """Return the places, counted from 1, whose rows differ; a row that came or went counts."""
    pairs = zip_longest(before, after)
    return tuple(place for place, (old, new) in enumerate(pairs, start=1) if old != new)
