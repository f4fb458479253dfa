"""What the awards of a board add up to, of all time and in each of its periods. Pure."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, NamedTuple, TypeAlias

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.findings import Fault, Findings
from score_service.domain.standings.ties import rank_key

KEPT_RANKS: Final = 1000
"""What is kept of a result that is not kept in full, see migration 0003."""


Line: TypeAlias = list[Any]
"""A line of a checkpoint: what it is of, and values that JSON has."""
_LIVE_FIELDS: Final = ("opened_revision", "times", "last_time", "reversed_upto", "final_from")


@dataclass(slots=True)
class Tally:
    """What the awards of one user add up to."""

    total: int
    reached_revision: int
    award_revision: int
    """Of the latest award of the user, also of one that was taken back."""
    changed_revision: int
    """Of what changed it last."""
    is_compared: bool = False
    """Whether the user's standing was looked at."""


class Counted(NamedTuple):
    """What an award says of one of its periods."""

    period_id: str
    """Empty where the period has no row."""
    total: int | None
    """The user's total after it; None where it is no number."""


class PeriodRow(NamedTuple):
    """A period as its row says, with instants as text in microseconds."""

    period_id: str
    number: int
    kind: str
    starts_at: str
    ends_at: str
    closes_at: str
    final_at: str
    time_zone: str
    zone_data: str
    opened_revision: int
    closed_revision: int | None
    entrants: int | None
    digest: bytes | None
    entry_revision: int | None
    is_truncated: bool


@dataclass(frozen=True, slots=True)
class Result:
    """What the awards of a period that is final add up to."""

    entrants: int
    digest: bytes
    """Of all lines of the result."""
    top_digest: bytes
    """Of its first `KEPT_RANKS` lines."""
    entry_revision: int
    body: Mapping[str, Any]
    """What the entry says."""
    opened_revision: int


@dataclass(slots=True)
class _LivePeriod:
    """A period that is not final where the walk is."""

    opened_revision: int
    tallies: dict[str, Tally] = field(default_factory=dict)
    times: list[int] = field(default_factory=list)
    """Least and greatest time of the awards that say no other than the ledger's, in microseconds."""
    last_time: int = 0
    """The greatest ledger time of all its awards."""
    reversed_upto: int = 0
    """The last reversal that counted in it."""
    final_from: int | None = None
    """The first reversal that found it final."""

    def may_be_frozen_at(self, revision: int | None) -> bool:
        """Return whether its reversals allow that its standings were frozen there, or never."""
        if revision is None:
            return self.final_from is None
        return self.reversed_upto <= revision and (self.final_from is None or revision < self.final_from)


class Tallies:
    """Adds awards up, along the ledger of one board."""

    def __init__(self, findings: Findings) -> None:
        self.all_time: dict[str, Tally] = {}
        """By user, in the order of their first awards."""
        self.results: dict[str, Result] = {}
        """By period, of those that are final."""
        self._live: dict[str, _LivePeriod] = {}
        self._findings = findings

    @property
    def live(self) -> tuple[str, ...]:
        """The periods that are not final, in the order in which they were opened."""
        return tuple(self._live)

    def of(self, period_id: str) -> dict[str, Tally]:
        """Return the tallies of a period by user; none where it is final or was never opened."""
        if period_id == ALL_TIME:
            return self.all_time
        live = self._live.get(period_id)
        return live.tallies if live else {}

    def count(self, revision: int, user_id: str, points: int, total: int) -> None:
        """Count an award in the totals of all time."""
        self._count(self.all_time, revision, user_id, points, Counted(ALL_TIME, total))

    def count_in_periods(
        self,
        revision: int,
        user_id: str,
        points: int,
        counted: Iterable[Counted],
        *,
        time: int | None,
        is_dated: bool,
    ) -> None:
        """Count an award in its periods.

        Args:
            revision: of the award.
            user_id: whose it is.
            points: of the award.
            counted: its periods.
            time: the ledger's, in microseconds; None where it is no number.
            is_dated: whether the award says when it happened.
        """
        for count in counted:
            if count.period_id in self.results:
                self._findings.add(Fault.PERIOD_OVER, revision, user_id, count.period_id)
                continue
            live = self._live.setdefault(count.period_id, _LivePeriod(revision))
            self._count(live.tallies, revision, user_id, points, count)
            if time is not None:
                live.last_time = max(live.last_time, time)
                if not is_dated:
                    live.times = [min([time, *live.times]), max([time, *live.times])]

    def reverse(self, revision: int, user_id: str, points: int, period_id: str) -> Tally | None:
        """Take the points of an award off, and leave when the rest was reached to the caller.

        Returns:
            What is left; None where the period is final or nobody has points in it.
        """
        tally = self.of(period_id).get(user_id)
        if tally is not None:
            tally.total -= points
            tally.changed_revision = revision
        if live := self._live.get(period_id):
            live.reversed_upto = revision
        return tally

    def note_final(self, revision: int, period_id: str) -> None:
        """Take it from a reversal that the standings of a period were final by then."""
        live = self._live.get(period_id)
        if live and live.final_from is None:
            live.final_from = revision

    def finish(self, revision: int, body: str) -> None:
        """Compare what the entry of a final period says with what its awards add up to."""
        try:
            said = json.loads(body)
            period_id, closed_revision = said["period_id"], int(said["closed_revision"])
            summed_up = (said["entrants"], said["digest"])
        except (ValueError, TypeError, LookupError, RecursionError):
            self._findings.add(Fault.ENTRY_WRONG, revision)
            return
        live = self._live.pop(period_id, _LivePeriod(0))
        lines = list(_write_lines(live.tallies))
        result = Result(
            entrants=len(lines),
            digest=_digest(lines),
            top_digest=_digest(islice(lines, KEPT_RANKS)),
            entry_revision=revision,
            body=said,
            opened_revision=live.opened_revision,
        )
        self.results[period_id] = result
        last = max((tally.award_revision for tally in live.tallies.values()), default=revision)
        is_summed_up = summed_up == (result.entrants, result.digest.hex())
        if last > closed_revision or not live.may_be_frozen_at(closed_revision) or not is_summed_up:
            self._findings.add(Fault.ENTRY_WRONG, revision, period_id=period_id)

    def write_lines(self) -> Iterator[Line]:
        """Write all that was added up, for `read_line` to take in the same order."""
        yield from _write_tallies(ALL_TIME, self.all_time)
        for period_id, live in self._live.items():
            yield ["live", period_id, *(getattr(live, name) for name in _LIVE_FIELDS)]
            yield from _write_tallies(period_id, live.tallies)
        for period_id, result in self.results.items():
            yield [
                "result",
                period_id,
                result.entrants,
                result.digest.hex(),
                result.top_digest.hex(),
                result.entry_revision,
                result.body,
                result.opened_revision,
            ]

    def read_line(self, line: Line) -> bool:
        """Take a line that was written, and return whether it is one of those."""
        kind, *fields = line
        if kind == "tally":
            period_id, user_id, *numbers = fields
            self.of(period_id)[user_id] = Tally(*numbers)
        elif kind == "live":
            period_id, opened_revision, *others = fields
            self._live[period_id] = _LivePeriod(
                opened_revision, **dict(zip(_LIVE_FIELDS[1:], others, strict=True))
            )
        elif kind == "result":
            period_id, entrants, digest, top_digest, *others = fields
            self.results[period_id] = Result(
                entrants, bytes.fromhex(digest), bytes.fromhex(top_digest), *others
            )
        else:
            return False
        return True

    def compare_rows(self, rows: Iterable[PeriodRow]) -> None:
        """Compare the rows of all periods with the ledger up to here."""
        missing = {*self._live, *self.results}
        for row in rows:
            missing.discard(row.period_id)
            live, result = self._live.get(row.period_id), self.results.get(row.period_id)
            if not (_is_row_of_live(row, live) if live else result and _is_row_of_final(row, result)):
                self._findings.add(Fault.PERIOD_WRONG, period_id=row.period_id)
        for period_id in sorted(missing):
            self._findings.add(Fault.PERIOD_MISSING, period_id=period_id)

    def _count(
        self, tallies: dict[str, Tally], revision: int, user_id: str, points: int, counted: Counted
    ) -> None:
        tally = tallies.get(user_id)
        expected = points + (tally.total if tally else 0)
        if counted.total != expected:
            period_id = None if counted.period_id == ALL_TIME else counted.period_id
            self._findings.add(Fault.TOTAL_WRONG, revision, user_id, period_id)
        total = expected if counted.total is None else counted.total
        if tally:
            tally.total = total
            tally.reached_revision = tally.award_revision = tally.changed_revision = revision
        else:
            tallies[user_id] = Tally(total, revision, revision, revision)


def read_counted(text: str | None) -> list[Counted]:
    """Read `period_id=total` of each period, with commas between; None for none."""
    return [_read_one(part) for part in text.split(",")] if text else []


def _read_one(part: str) -> Counted:
    period_id, _, total = part.partition("=")
    return Counted(period_id, int(total) if total.isascii() and total.isdecimal() else None)


def _write_tallies(period_id: str, tallies: Mapping[str, Tally]) -> Iterator[Line]:
    for user_id, tally in tallies.items():
        numbers = (tally.total, tally.reached_revision, tally.award_revision, tally.changed_revision)
        yield ["tally", period_id, user_id, *numbers]


def _write_lines(tallies: Mapping[str, Tally]) -> Iterator[bytes]:
    """Write the lines of a result, see `StoredPeriod.digest`."""
    with_points = [item for item in tallies.items() if item[1].total > 0]
    ranked = sorted(with_points, key=lambda item: rank_key(item[1].total, item[1].reached_revision))
    for rank, (user_id, tally) in enumerate(ranked, start=1):
        yield f"{rank}\t{user_id}\t{tally.total}\t{tally.reached_revision}\n".encode()


def _digest(lines: Iterable[bytes]) -> bytes:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line)
    return digest.digest()


def _is_row_of_live(row: PeriodRow, live: _LivePeriod) -> bool:
    """Return whether a row may be that of a period with these awards."""
    try:
        starts_at, ends_at, closes_at = int(row.starts_at), int(row.ends_at), int(row.closes_at)
    except ValueError:
        return False
    return (
        (row.opened_revision, row.entry_revision) == (live.opened_revision, None)
        and all(starts_at <= time < ends_at for time in live.times)
        and live.last_time < closes_at
        and live.may_be_frozen_at(row.closed_revision)
    )


def _is_row_of_final(row: PeriodRow, result: Result) -> bool:
    """Return whether a row says the same as the entry, apart from what is not in the row."""
    said = {
        "closed_revision": row.closed_revision,
        "closes_at": row.closes_at,
        "digest": row.digest.hex() if row.digest else None,
        "ends_at": row.ends_at,
        "entrants": row.entrants,
        "final_at": row.final_at,
        "kind": row.kind,
        "period_id": row.period_id,
        "starts_at": row.starts_at,
        "time_zone": row.time_zone,
        "zone_data": row.zone_data,
    }
    body = {key: str(value) if key.endswith("_at") else value for key, value in result.body.items()}
    return said == body and (row.opened_revision, row.entry_revision) == (
        result.opened_revision,
        result.entry_revision,
    )
