"""The rows of a leaderboard as players see them, and what tells two of them apart. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Final

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from score_client.types import Standing

FORMER_PLAYER: Final = "former player"
"""The name of all who have left. Nobody can register it: names have no spaces."""


class Entry(BaseModel):
    """One row of the leaderboard."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, validate_by_name=True)

    rank: int | None
    """1 for the best; null where it cannot be known."""
    user_id: str
    username: str | None
    """Null for a user that this gateway does not know, `former player` for one who has left."""
    score: int


def without_hidden(standings: Iterable[Standing], own: str | None = None) -> tuple[Standing, ...]:
    """Leave out users who are hidden; they are shown to themselves alone, and only where they have a rank."""
    return tuple(
        standing
        for standing in standings
        if not standing.hidden or (standing.user_id == own and standing.rank is not None)
    )


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


def remove_names(entries: Sequence[Entry], user_ids: Collection[str]) -> tuple[Entry, ...]:
    """Return the same rows with these users as former players."""
    return tuple(
        entry.model_copy(update={"username": FORMER_PLAYER}) if entry.user_id in user_ids else entry
        for entry in entries
    )


def is_same(before: Standing, after: Standing) -> bool:
    """Return whether a user who has one standing in the place of the other sees no difference.

    That others rank differently is none. To be hidden is one only if it takes the rank: who is shadowed shall
    not notice.
    """
    return before.reached_revision == after.reached_revision and is_shown_alike(before, after)


def is_shown_alike(before: Standing, after: Standing) -> bool:
    """Return the same of standings in different histories, whose revisions do not compare."""
    is_ranked_alike = before.rank == after.rank or _has_rank(before) == _has_rank(after)
    return before.total == after.total and is_ranked_alike


def _has_rank(standing: Standing) -> bool:
    """Return whether a user has a rank to see, if it is not known now: one who is shadowed has one."""
    return not standing.hidden or standing.rank is not None


def changed_ranks(before: Sequence[Entry], after: Sequence[Entry]) -> tuple[int, ...]:
    """Return the places, counted from 1, whose rows differ; a row that came or went counts."""
    pairs = zip_longest(before, after)
    return tuple(place for place, (old, new) in enumerate(pairs, start=1) if old != new)
