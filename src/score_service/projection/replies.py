"""Replies of the scripts as values. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple, Self

from score_service.domain.ledger.changes import Changes
from score_service.domain.ledger.position import Position
from score_service.domain.standings.hint import read_rank
from score_service.domain.standings.standing import Reading, Source, Standing
from score_service.domain.standings.ties import MEMBER_DIGITS, MEMBER_ORIGIN
from score_service.domain.tokens.page_token import write_page_token


class Headcount(NamedTuple):
    """How many users have a standing, of all time or in a period."""

    members: int
    """All of them, also those who are hidden, and those of whom no award is left."""
    ranked: int
    """Those with points who are not hidden. They alone are in ranks, lists and numbers of entrants."""

    def __str__(self) -> str:
        """Write it as a board's header has it of a period."""
        return f"{self.members}" if self.ranked == self.members else f"{self.members}:{self.ranked}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote.

        Raises:
            ValueError: the text is none of these.
        """
        members, _, ranked = text.partition(":")
        return cls(int(members), int(ranked or members))


class Seen(NamedTuple):
    """What was last seen of a board's projection. It tells which keys a script is given."""

    generation: str = ""
    """Empty where none was seen."""
    periods: tuple[str, ...] = ()
    """The ids of those that it had."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a board's projection says of itself."""

    generation: str
    position: Position
    all_time: Headcount
    is_whole: bool = True
    """Whether its keys have as many members as it says."""
    periods: Mapping[str, Headcount] = field(default_factory=dict)
    """Of each period that anybody has a standing in, by the ids."""

    @property
    def seen(self) -> Seen:
        """Return what tells which keys the board has."""
        return Seen(self.generation, tuple(self.periods))

    @property
    def standings(self) -> int:
        """How many standings there are, those in periods included."""
        return sum(count.members for count in (self.all_time, *self.periods.values()))

    def is_at(self, position: Position) -> bool:
        """Return whether the projection is whole and at a position."""
        return self.is_whole and self.position == position


@dataclass(frozen=True, slots=True)
class Applied:
    """The changes were made."""

    ranks: dict[str, int]
    """Of each user that changed, 1 for the best; what it would be of one who is shadowed. Users who are
    hidden, or of whom no award is left, have none."""


@dataclass(frozen=True, slots=True)
class PositionMismatch:
    """Nothing was done: the projection is not at the position where the changes begin."""

    header: Header | None
    """None where there is no projection."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the projection agrees with standings of the record."""

    position: Position
    """Where the projection was."""
    count: Headcount
    """Of all time, or of the period that was compared."""
    unready: int
    """Users whose standing in the record is newer than the projection."""
    differing: tuple[str, ...]
    """Users whose entries in the projection are not what they must be there."""


def read_header(reply: Sequence[str]) -> Header | None:
    """Read the header in a reply; None where the board has no projection."""
    if reply[0] == "missing":
        return None
    state, generation, revision, mark, members, ranked, periods = reply
    return Header(
        generation,
        Position(int(revision), mark),
        Headcount(int(members), int(ranked)),
        is_whole=state != "broken",
        periods={
            period_id: Headcount.parse(count)
            for period_id, _, count in (period.partition("=") for period in periods.split())
        },
    )


def read_applied(reply: Sequence[str], changes: Changes) -> Applied:
    """Read the ranks of the users that changed."""
    _, ranks = reply
    found = zip(changes.changes, map(read_rank, ranks.split()), strict=True)
    return Applied({change.user_id: rank for change, (rank, _) in found if rank is not None})


def read_answers(reply: Sequence[Any]) -> tuple[Position, Sequence[Any], Sequence[int]]:
    """Read the position at which answers to questions hold, the answers, and the ranked at each index."""
    _, _, revision, mark, answers, ranked = reply
    return Position(int(revision), mark), answers, ranked


def read_standings(position: Position, answer: Sequence[Any], user_ids: Sequence[str]) -> Reading:
    """Read the top and the standings of the users asked for, without those that have none."""
    top, found = answer
    users = tuple(
        _read_standing(user_id, standing, rank)
        for user_id, standing, rank in zip(user_ids, found[::2], found[1::2], strict=True)
        if standing
    )
    return Reading(position, Source.CACHE, top=_read_ranking(top, 0), users=users)


def read_page(position: Position, answer: Sequence[Any], page_size: int) -> Reading:
    """Read a page, and the token of the next if there is one more standing than a page has."""
    first, page = answer
    standings = _read_ranking(page[: 2 * page_size], int(first))
    token = write_page_token(standings[-1]) if len(page) > 2 * page_size else ""
    return Reading(position, Source.CACHE, top=standings, next_page_token=token)


def read_neighbours(position: Position, answer: Sequence[Any], user_id: str) -> Reading:
    """Read a user and its neighbours. One who is shadowed stands where it would, and pushes nobody down."""
    first, neighbours, *own = answer
    run = _read_ranking(neighbours, int(first))
    if own:
        standing, rank = own
        above = int(rank) - int(first)
        run = (*run[:above], _read_standing(user_id, standing, rank), *run[above:])
    return Reading(position, Source.CACHE, top=run)


def read_comparison(reply: Sequence[Any]) -> Comparison:
    """Read how a projection agrees with the record."""
    _, _, revision, mark, members, ranked, unready, differing = reply
    return Comparison(Position(int(revision), mark), Headcount(members, ranked), unready, tuple(differing))


def _read_ranking(flat: Sequence[str], first: int) -> tuple[Standing, ...]:
    """Read neighbours out of a flat list of member and score; `first` is the 0-based rank of the first."""
    # Each page makes many: by position, in a list, they take a quarter less time.
    return tuple(
        [
            Standing(member[MEMBER_DIGITS:], int(score), rank, MEMBER_ORIGIN - int(member[:MEMBER_DIGITS]))
            for rank, member, score in zip(count(first + 1), flat[::2], flat[1::2], strict=False)
        ]
    )


def _read_standing(user_id: str, standing: str, rank: str) -> Standing:
    total, reached, *more = standing.split(":")
    # What may follow are the version and, of a user who is hidden, a flag.
    return Standing(user_id, int(total), int(rank) + 1 if rank else None, int(reached), hidden=len(more) > 1)
