"""What a ledger adds up to, step by step: standings, ranked by the tie rule. Pure.

Of equal totals the one reached earlier ranks higher: by the latest award of the user that stands. Who is
hidden is not ranked; one who is shadowed is told the rank that would be. Only points are added up: the totals
that the ledger names are left for others to compare.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from faults.model.corrections import HIDDEN, VISIBLE, Reversal, Step, Visibility
from faults.model.history import Row
from faults.model.ledger import Award

_Key: TypeAlias = tuple[int, int, str]
"""Total, negative, then revision, then user: the least is the best."""


class Stand(NamedTuple):
    """Where a user stands."""

    row: Row
    rank_when_reached: int
    """Right after the award or the correction that led to the total."""
    corrections_since: int
    """How many corrections of others came after it. Each may have moved the user up or down by one; awards
    have moved others up alone."""


class Fold:
    """The standings at a revision."""

    def __init__(self) -> None:
        self.revision = 0
        self.corrections = 0
        """How many there are up to here."""
        self._keys: dict[str, _Key] = {}
        """Of all users with points."""
        self._order: list[_Key] = []
        """Of those who are visible."""
        self._seen: dict[str, str] = {}
        self._versions: dict[str, int] = {}
        self._reached: dict[str, tuple[int, int]] = {}
        """The rank right after the total was reached, and how many corrections there were then."""
        self._standing: defaultdict[str, dict[int, int]] = defaultdict(dict)
        """The points of each user's awards that stand, by revision, in order."""

    def __len__(self) -> int:
        return len(self._order)

    def take(self, step: Step) -> None:
        """Go on by one award or correction."""
        user_id, standing = step.user_id, self._standing[step.user_id]
        self._leave_order(user_id)
        match step:
            case Award():
                standing[step.revision] = step.points
                total = step.points - self._keys.get(user_id, (0, 0, ""))[0]
                self._keys[user_id] = (-total, step.revision, user_id)
            case Reversal():
                self.corrections += 1
                self._take_back(user_id, standing, step.award_revision)
            case Visibility():
                self.corrections += 1
                self._seen[user_id] = step.visibility
        self._enter_order(user_id)
        self._versions[user_id] = step.revision
        if not isinstance(step, Visibility):
            self._reached[user_id] = (self.place(user_id) or 0, self.corrections)
        self.revision = step.revision

    def is_hidden(self, user_id: str) -> bool:
        """Return whether nobody else may see a user."""
        return self._seen.get(user_id, VISIBLE) != VISIBLE

    def place(self, user_id: str) -> int | None:
        """Return the rank a user has, or would have who is hidden; None without points."""
        key = self._keys.get(user_id)
        return bisect_left(self._order, key) + 1 if key else None

    def rank(self, user_id: str) -> int | None:
        """Return the rank that a user is told, 1 for the best; None without points, or if hidden."""
        return None if self._seen.get(user_id) == HIDDEN else self.place(user_id)

    def find(self, user_id: str) -> Stand | None:
        """Return where a user stands; None without points."""
        key = self._keys.get(user_id)
        if key is None:
            return None
        row = Row(user_id, -key[0], self.rank(user_id), key[1], self.is_hidden(user_id))
        rank, corrections = self._reached[user_id]
        return Stand(row, rank, self.corrections - corrections)

    def top(self, size: int) -> list[Row]:
        """List the best."""
        ranked = enumerate(self._order[:size], start=1)
        return [Row(user_id, -total, rank, reached) for rank, (total, reached, user_id) in ranked]

    def members(self) -> Iterator[str]:
        """Yield everybody who ever had points."""
        yield from self._reached

    def version(self, user_id: str) -> int:
        """Return the revision that changed the standing of a user last."""
        return self._versions[user_id]

    def flag(self, user_id: str) -> str:
        """Return the letter for a user who is not visible to all; empty for one who is."""
        return self._seen[user_id][0] if self.is_hidden(user_id) else ""

    def _take_back(self, user_id: str, standing: dict[int, int], award_revision: int) -> None:
        points = standing.pop(award_revision, 0)
        key = self._keys.pop(user_id, None)
        if standing and key:
            self._keys[user_id] = (key[0] + points, next(reversed(standing)), user_id)

    def _leave_order(self, user_id: str) -> None:
        key = self._keys.get(user_id)
        if key and not self.is_hidden(user_id):
            del self._order[bisect_left(self._order, key)]

    def _enter_order(self, user_id: str) -> None:
        key = self._keys.get(user_id)
        if key and not self.is_hidden(user_id):
            insort(self._order, key)


def fold_at(steps: Sequence[Step], revisions: Iterable[int]) -> Iterator[Fold]:
    """Yield the fold at each of some revisions, least first. It is one object, which moves on.

    A ledger that misses revisions is taken as it is; at a revision after its end, it is what there is.
    """
    fold, place = Fold(), 0
    for revision in revisions:
        while place < len(steps) and steps[place].revision <= revision:
            fold.take(steps[place])
            place += 1
        yield fold
