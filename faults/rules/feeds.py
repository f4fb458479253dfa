"""What must hold of feeds: each entry comes once, in order, and no failover takes it back. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TypeAlias

from faults.model.board import Board
from faults.model.corrections import Reversal, Visibility, read_corrections
from faults.model.epochs import Epochs
from faults.model.findings import Finding, Kind
from faults.model.history import Fed, FeedArchived, FeedBegun, FeedLost
from faults.model.ledger import Entry, Ledger
from faults.rules.record.periods import read_period_id

Told: TypeAlias = Fed | FeedLost | FeedArchived | FeedBegun
"""What a reader of a feed gets, and what becomes of it."""


def check_feeds(board: Board, events: Iterable[Told], epochs: Epochs) -> Iterable[Finding]:
    """Find what is wrong in what readers of the feed of a board got. Events are in order."""
    by_reader, told = defaultdict[str, list[Told]](list), _Told(board)
    for event in events:
        by_reader[event.reader].append(event)
    for reader, alike in by_reader.items():
        yield from _Reader(reader, told, epochs).check(alike)


@dataclass(slots=True)
class _Told:
    """What each epoch has to tell at a revision: the kind and the subject."""

    board: Board
    entries: list[Mapping[int, tuple[str, str]]] = field(init=False)

    def __post_init__(self) -> None:
        self.entries = [_tell(line.ledger) for _, line in sorted(self.board.lines.items())]

    def epochs_of(self, fed: Fed) -> int:
        """Return, as a set of bits, which epochs have an entry at its revision, in the commit it names."""
        bits, due = 0, (fed.kind, fed.subject)
        for epoch, entries in enumerate(self.entries):
            if entries.get(fed.revision) == due and self._is_at(epoch, fed.revision, fed.position):
                bits |= 1 << epoch
        return bits

    def epochs_at(self, position: str) -> int:
        """Return, as a set of bits, which epochs went through a position, also one within a commit."""
        revision = int(position.partition("-")[0])
        return sum(1 << epoch for epoch in range(len(self.entries)) if self._is_at(epoch, revision, position))

    def _is_at(self, epoch: int, revision: int, position: str) -> bool:
        commit = self.board.lines[epoch].position_of(revision)
        mark = commit.partition("-")[2] if commit else None
        return position == f"{revision}-{mark}"


@dataclass(slots=True)
class _Reader:
    """One reader of a feed, across all its streams."""

    name: str
    told: _Told
    epochs: Epochs
    _last: Fed | FeedArchived | None = None
    """Where it goes on."""
    _within: int = -1
    """The epochs that have all it got since it began, or began anew."""

    def check(self, events: Sequence[Told]) -> Iterable[Finding]:
        """Find what is wrong."""
        for event in events:
            match event:
                case Fed():
                    yield from self._take(event)
                case FeedLost():
                    yield from self._lose(event)
                case FeedArchived():
                    yield from self._skip(event)
                case FeedBegun():
                    self._last, self._within = None, -1
        yield from self._end()

    def _take(self, fed: Fed) -> Iterable[Finding]:
        where = f"{self.name} at {fed.at:.3f}: {fed.position}, {fed.kind} {fed.subject}"
        if fed.revision != (self._last.revision if self._last else 0) + 1:
            yield Finding(Kind.FEED_GAP, f"{where} after {self._last and self._last.position}")
        held = self.told.epochs_of(fed)
        if not held & self._within & self._begun(fed.at):
            yield Finding(Kind.FEED_WRONG, where)
        else:
            self._within &= held
            yield from self._check_failovers(fed, held, where)
        self._last = fed

    def _check_failovers(self, fed: Fed, held: int, where: str) -> Iterable[Finding]:
        """Check that a standby that took over later has it."""
        for epoch, restore in enumerate(self.epochs.restores, start=1):
            is_of_before = bool(held >> (epoch - 1) & 1) and fed.at < restore.began
            if restore.copied == inf and is_of_before and not held >> epoch & 1:
                yield Finding(Kind.FEED_LOST, f"{where}, {restore}")

    def _lose(self, event: FeedLost) -> Iterable[Finding]:
        live = self.epochs.live(event.at, event.at)
        if self.told.epochs_at(event.position) & live == live:
            yield Finding(Kind.FEED_UNKNOWN, f"{self.name} at {event.at:.3f}: {event.position}")
        self._last, self._within = None, -1

    def _skip(self, event: FeedArchived) -> Iterable[Finding]:
        """Go on after what is archived, which has to be at a cut, and after where it stood."""
        self._last, self._within = event, self.told.epochs_at(event.position)
        held = self._within & self.epochs.live(event.at, event.at)
        stood = int(event.after.partition("-")[0] or 0)
        is_cut = any(
            stood < event.revision == cut.revision
            for line in self.told.board.lines_of(held)
            for cut in line.cuts
        )
        if not is_cut:
            yield Finding(Kind.ARCHIVED_WRONG, f"{self.name} at {event.at:.3f}: {event}")

    def _end(self) -> Iterable[Finding]:
        end = self.told.board.end.ledger
        if end.head and (self._last is None or self._last.position != end.position):
            where = f"{self.name}: {self._last and self._last.position}, where {end.position} is the head"
            yield Finding(Kind.FEED_UNFINISHED, where)

    def _begun(self, at: float) -> int:
        """Return, as a set of bits, which epochs had begun."""
        return sum(1 << epoch for epoch, span in enumerate(self.epochs.spans) if span.began <= at)


def _tell(ledger: Ledger) -> dict[int, tuple[str, str]]:
    told = {award.revision: ("award", award.award_id) for award in ledger.awards}
    for one in read_corrections(ledger.entries):
        match one:
            case Reversal():
                told[one.revision] = ("reversal", one.reversal_id)
            case Visibility():
                told[one.revision] = ("visibility", f"{one.user_id} {one.visibility}")
    told |= {entry.revision: _tell_other(entry) for entry in ledger.entries if entry.revision not in told}
    return told


def _tell_other(entry: Entry) -> tuple[str, str]:
    return (entry.kind, read_period_id(entry) if entry.kind == "period_closed" else "")
