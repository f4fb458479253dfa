"""What awards add up to, award by award: standings, ranked by the tie rule. Pure.

Of equal totals the one reached earlier ranks higher. Only points are added up: the totals that the ledger
names are left for others to compare.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from faults.model.history import Row
from faults.model.ledger import Award

_Key: TypeAlias = tuple[int, int, str]
"""Total, negative, then revision, then user: the least is the best."""


class Stand(NamedTuple):
    """Where a user stands."""

    row: Row
    rank_when_reached: int
    """Right after the award that led to the total. Since then only others have risen."""


class Fold:
    """The standings at a revision."""

    def __init__(self) -> None:
        self.revision = 0
        self._keys: dict[str, _Key] = {}
        self._order: list[_Key] = []
        self._ranks: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._order)

    def take(self, award: Award) -> None:
        """Go on by one award."""
        former = self._keys.get(award.user_id)
        if former:
            del self._order[bisect_left(self._order, former)]
        total = award.points - (former[0] if former else 0)
        key = (-total, award.revision, award.user_id)
        insort(self._order, key)
        self._keys[award.user_id] = key
        self._ranks[award.user_id] = bisect_left(self._order, key) + 1
        self.revision = award.revision

    def rank(self, user_id: str) -> int | None:
        """Return a user's rank, 1 for the best; None without an award."""
        key = self._keys.get(user_id)
        return bisect_left(self._order, key) + 1 if key else None

    def find(self, user_id: str) -> Stand | None:
        """Return where a user stands; None without an award."""
        key = self._keys.get(user_id)
        if key is None:
            return None
        rank = bisect_left(self._order, key) + 1
        return Stand(Row(user_id, -key[0], rank, key[1]), self._ranks[user_id])

    def top(self, size: int) -> list[Row]:
        """List the best."""
        ranked = enumerate(self._order[:size], start=1)
        return [Row(user_id, -total, rank, reached) for rank, (total, reached, user_id) in ranked]


def fold_at(awards: Sequence[Award], revisions: Iterable[int]) -> Iterator[Fold]:
    """Yield the fold at each of some revisions, least first. It is one object, which moves on.

    A ledger that misses revisions is taken as it is; at a revision after its end, it is what there is.
    """
    fold, place = Fold(), 0
    for revision in revisions:
        while place < len(awards) and awards[place].revision <= revision:
            fold.take(awards[place])
            place += 1
        yield fold
