"""One board in all epochs: which awards and positions were of the record, and in which epochs. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from heapq import merge
from itertools import accumulate
from math import inf
from operator import attrgetter
from typing import Final

from faults.model.archive import Cut, read_cuts
from faults.model.corrections import HIDDEN, Correction, Reversal, Step, Visibility, narrow, read_corrections
from faults.model.ledger import Award, Ledger, Record, start_position, write_position

_REVISION: Final = attrgetter("revision")


@dataclass(slots=True)
class Placed:
    """An award in the ledger, and what is known of when it was made."""

    award: Award
    epochs: int
    """As a set of bits: whose ledgers have it."""
    asked: float = inf
    """When a client first asked for it; infinite if none did."""
    answered_at: float = inf
    """When a client was first answered that it was made; infinite if none was."""


@dataclass(slots=True)
class Line:
    """A board's ledger at the end of an epoch."""

    ledger: Ledger
    placed: list[Placed] = field(default_factory=list)
    """Its awards in order."""
    ends: list[int] = field(default_factory=list)
    """Revisions at which commits end."""
    corrections: Sequence[Correction] = ()
    """In order."""
    steps: Sequence[Step] = ()
    """Awards and corrections, in order."""
    cuts: Sequence[Cut] = ()
    """In order."""
    _asked: list[float] = field(default_factory=list)
    _seen: dict[str, list[Visibility]] | None = None

    @property
    def awards(self) -> Sequence[Award]:
        """What was awarded, in order."""
        return self.ledger.awards

    def is_end(self, revision: int) -> bool:
        """Return whether the ledger had a position at a revision."""
        place = bisect_left(self.ends, revision)
        return revision == 0 or (place < len(self.ends) and self.ends[place] == revision)

    def end_after(self, revision: int) -> int:
        """Return where the commit ends that holds a revision; the revision itself where none does."""
        place = bisect_left(self.ends, revision)
        return self.ends[place] if place < len(self.ends) else revision

    def position_of(self, revision: int) -> str | None:
        """Return the position of the commit that holds a revision."""
        place = bisect_left(self.ends, revision)
        return write_position(*self.ledger.commits[place][1:]) if place < len(self.ends) else None

    def awards_upto(self, revision: int) -> Sequence[Award]:
        """Return what was awarded up to a revision."""
        return self.awards[: bisect_right(self.awards, revision, key=_REVISION)]

    def placed_between(self, after: int, upto: int) -> Sequence[Placed]:
        """Return what was awarded after a revision and up to another one, with what is known of when."""
        first, last = (bisect_right(self.awards, revision, key=_REVISION) for revision in (after, upto))
        return self.placed[first:last]

    def steps_between(self, after: int, upto: int) -> Sequence[Step]:
        """Return what moved standings after a revision and up to another one."""
        first, last = (bisect_right(self.steps, revision, key=_REVISION) for revision in (after, upto))
        return self.steps[first:last]

    def corrections_between(self, after: int, upto: int) -> Sequence[Correction]:
        """Return what was corrected after a revision and up to another one."""
        first, last = (bisect_right(self.corrections, one, key=_REVISION) for one in (after, upto))
        return self.corrections[first:last]

    def is_hidden(self, user_id: str, first: int, last: int) -> bool:
        """Return whether a user was hidden, not shadowed, from a revision up to another one."""
        changes = [one for one in self.visibilities(user_id) if one.revision <= last]
        held = [one for one in changes if one.revision <= first][-1:] + [
            o for o in changes if o.revision > first
        ]
        return bool(held) and held[0].revision <= first and all(one.visibility == HIDDEN for one in held)

    def visibilities(self, user_id: str) -> Sequence[Visibility]:
        """Return what was said of who may see a user, in order."""
        if self._seen is None:
            self._seen = {}
            for one in self.corrections:
                if isinstance(one, Visibility):
                    self._seen.setdefault(one.user_id, []).append(one)
        return self._seen.get(user_id, [])

    def reversals(self) -> Iterator[Reversal]:
        """Yield the reversals, in order."""
        return (one for one in self.corrections if isinstance(one, Reversal))

    def note_times(self) -> None:
        """Compute bounds of time, once `asked` is known of all awards."""
        known = (placed.asked if placed.asked < inf else -inf for placed in self.placed)
        self._asked = list(accumulate(known, max))

    def earliest(self, revision: int) -> float:
        """Return a time before which the ledger did not reach a revision."""
        place = bisect_right(self.awards, revision, key=_REVISION)
        return self._asked[place - 1] if 0 < place <= len(self._asked) else -inf

    def cut_by(self, time: float) -> int:
        """Return up to where awards may have been archived at a time, at most."""
        return max(
            (cut.revision for cut in self.cuts if self.earliest(cut.entry_revision) <= time), default=0
        )

    def furthest(self, time: float) -> int:
        """Return a revision that the ledger had not passed at a time."""
        place = bisect_right(self._asked, time)
        return self.awards[place].revision - 1 if place < len(self.awards) else self.ledger.revision


class Board:
    """What all epochs have of a board."""

    def __init__(self, board_id: str, epochs: Sequence[Record]) -> None:
        self.board_id = board_id
        self.lines: dict[int, Line] = {}
        """By the number of the epoch; where the board was not there, an empty one."""
        self.positions = {start_position(board_id): (1 << len(epochs)) - 1}
        """The epochs, as a set of bits, of each position."""
        self._epochs = epochs
        self._periods: dict[str, Board] = {}
        self._placed: dict[str, list[Placed]] = {}
        self._totals: dict[tuple[str, int], int] = {}
        for epoch, record in enumerate(epochs):
            ledger = record.get(board_id) or Ledger(board_id, None, (), (), {})
            self.lines[epoch] = self._trace(ledger, 1 << epoch)

    def find(self, award_id: str) -> Sequence[Placed]:
        """Find an award of which the id is known; in histories apart there may be several."""
        return self._placed.get(award_id, ())

    def all(self) -> Iterator[Placed]:
        """Yield every award of every epoch once."""
        for placed in self._placed.values():
            yield from placed

    def epochs_of(self, position: str) -> int:
        """Return, as a set of bits, which epochs went through a position."""
        return self.positions.get(position, 0)

    def epochs_at(self, revision: int) -> int:
        """Return, as a set of bits, which epochs had a position at a revision."""
        if revision == 0:
            return self.positions[start_position(self.board_id)]
        return sum(1 << epoch for epoch, line in self.lines.items() if line.is_end(revision))

    def line_of(self, epochs: int) -> Line:
        """Choose the first of some epochs, of which there is one."""
        return next(self.lines_of(epochs))

    def lines_of(self, epochs: int) -> Iterator[Line]:
        """Choose all of some epochs."""
        return (line for epoch, line in self.lines.items() if epochs >> epoch & 1)

    def had_total(self, user_id: str, total: int, epochs: int) -> bool:
        """Return whether a user ever had a total in one of some epochs, 0 left out."""
        if not self._totals:
            for placed in self.all():
                self._note_total(placed.award.user_id, placed.award.total_after, placed.epochs)
            for epoch, line in self.lines.items():
                for reversal in line.reversals():
                    self._note_total(reversal.user_id, reversal.total, 1 << epoch)
        return bool(self._totals.get((user_id, total), 0) & epochs)

    def _note_total(self, user_id: str, total: int, epochs: int) -> None:
        self._totals[user_id, total] = self._totals.get((user_id, total), 0) | epochs

    @property
    def end(self) -> Line:
        """The ledger as it is at the end."""
        return self.lines[max(self.lines)]

    def of_period(self, period_id: str) -> "Board":
        """Return what a period shows: the same positions, and of the awards those that count in it.

        It knows when they were asked for if this board does.
        """
        if period_id not in self._periods:
            self._periods[period_id] = self._select(period_id)
        return self._periods[period_id]

    def _select(self, period_id: str) -> "Board":
        def counts(award: Award) -> bool:
            return any(period_id == one for one, _ in award.periods)

        ledgers = [record.get(self.board_id) for record in self._epochs]
        selected = [
            {self.board_id: replace(ledger, awards=list(filter(counts, ledger.awards)), entries=())}
            if ledger
            else {}
            for ledger in ledgers
        ]
        board = Board(self.board_id, selected)
        for epoch, line in board.lines.items():
            line.steps = narrow(self.lines[epoch].steps, period_id)
            line.corrections = [step for step in line.steps if not isinstance(step, Award)]
        for placed in board.all():
            known = next(one for one in self.find(placed.award.award_id) if one.award == placed.award)
            placed.asked, placed.answered_at = known.asked, known.answered_at
        board.note_times()
        return board

    def note_times(self) -> None:
        """Compute bounds of time in every line, once `asked` is known of all awards."""
        for line in self.lines.values():
            line.note_times()

    def _trace(self, ledger: Ledger, bit: int) -> Line:
        corrections = read_corrections(ledger.entries)
        line = Line(
            ledger,
            corrections=corrections,
            steps=[*merge(ledger.awards, corrections, key=_REVISION)],
            cuts=read_cuts(ledger.entries),
        )
        for award in ledger.awards:
            line.placed.append(self._place(award, bit))
        for commit in ledger.commits:
            line.ends.append(commit.last_revision)
            position = write_position(commit.last_revision, commit.digest)
            self.positions[position] = self.positions.get(position, 0) | bit
        return line

    def _place(self, award: Award, bit: int) -> Placed:
        placed = self._placed.setdefault(award.award_id, [])
        for one in placed:
            if one.award == award:
                one.epochs |= bit
                return one
        placed.append(Placed(award, bit))
        return placed[-1]
