"""What must hold of the periods of a ledger by itself. Pure.

The rules are those of the design, written down here a second time, on purpose: an award counts in the period
of each kind that holds its time, unless that is closed by the time of the ledger; then in the one that holds
the time of the ledger, since the boards of a run say so (`late = "current"`). A closed period has one entry,
which says what its awards add up to.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import pairwise
from operator import attrgetter
from typing import Final

from faults.model.corrections import Reversal, Step, read_corrections
from faults.model.findings import Finding, Kind
from faults.model.ledger import Award, Entry, Ledger, Period, Place, Total
from faults.rules.record.ledger import add_up

PATIENCE: Final = 30.0
"""Seconds in which a period that is due must be closed, once nothing is broken any more."""
_CLOSED: Final = "period_closed"
_SETTINGS: Final = "settings"
_MICROS: Final = 1_000_000

Folds = Mapping[str, Mapping[str, Total]]
"""What each period adds up to, by user: nothing, where all was taken back."""


def check_periods(ledger: Ledger) -> Iterable[Finding]:
    """Find what is wrong in the periods of a ledger, their entries, standings and results."""
    if not ledger.periods and not ledger.entries:
        return
    yield from _check_time(ledger)
    yield from _check_ranges(ledger)
    yield from _check_members(ledger)
    steps = list(merge(ledger.awards, read_corrections(ledger.entries), key=attrgetter("revision")))
    folds = _fold(steps)
    yield from _check_totals(ledger, steps)
    yield from _check_entries(ledger, folds)
    yield from _check_standings(ledger, folds)


def read_period_id(entry: Entry) -> str:
    """Return which period the entry of one that was closed is about."""
    return str(json.loads(entry.body)["period_id"])


def check_due(ledger: Ledger, now: int) -> Iterable[Finding]:
    """Find the periods that are not closed, though they were due long before a time in microseconds."""
    for period in ledger.periods:
        if period.entry_revision is None and period.final_at + PATIENCE * _MICROS < now:
            yield Finding(Kind.PERIOD_UNCLOSED, f"{ledger.board_id}: {period}")


def _check_time(ledger: Ledger) -> Iterable[Finding]:
    times = sorted(
        [(award.revision, award.awarded_at) for award in ledger.awards]
        + [(entry.revision, entry.entered_at) for entry in ledger.entries]
    )
    for (_, before), (revision, after) in pairwise(times):
        if after < before:
            yield Finding(Kind.TIME_BACK, f"{ledger.board_id}: {before}, {after} at revision {revision}")


def _check_ranges(ledger: Ledger) -> Iterable[Finding]:
    """Check each period, that seasons are those of the settings, and that those of a kind do not overlap."""
    seasons = _read_seasons(ledger)
    by_kind = defaultdict[str, list[Period]](list)
    for period in ledger.periods:
        by_kind[period.kind].append(period)
        if not period.starts_at < period.ends_at <= period.closes_at <= period.final_at:
            yield Finding(Kind.PERIOD_RANGE_WRONG, f"{ledger.board_id}: {period}")
        due = seasons.get(period.period_id, period)
        if period != _with_instants(period, due):
            yield Finding(Kind.PERIOD_RANGE_WRONG, f"{ledger.board_id}: {period}, due is {due}")
    for periods in by_kind.values():
        ordered = sorted(periods, key=lambda period: period.starts_at)
        for one, other in pairwise(ordered):
            if other.starts_at < one.ends_at:
                yield Finding(Kind.PERIOD_RANGE_WRONG, f"{ledger.board_id}: {one} overlaps {other}")


def _check_members(ledger: Ledger) -> Iterable[Finding]:
    """Compare the periods that each award counts in with those that it belongs to."""
    by_kind = defaultdict[str, list[Period]](list)
    periods = _read_seasons(ledger)
    for period in ledger.periods:
        # What a row says of a season may be as wrong as what an award counts in.
        periods[period.period_id] = _with_instants(period, periods.get(period.period_id, period))
    for period in periods.values():
        by_kind[period.kind].append(period)
    for award in ledger.awards:
        counts = {period_id for period_id, _ in award.periods}
        due = {period.period_id for of_kind in by_kind.values() for period in _find_due(award, of_kind)}
        if counts - due:
            yield Finding(Kind.PERIOD_MEMBER_WRONG, f"{ledger.board_id}: {award} belongs to {sorted(due)}")
        if due - counts:
            yield Finding(Kind.PERIOD_MEMBER_MISSING, f"{ledger.board_id}: {award} belongs to {sorted(due)}")


def _read_seasons(ledger: Ledger) -> dict[str, Period]:
    """Return the seasons of the settings, which are set once in a run, also those nobody has points in."""
    entry = next((entry for entry in ledger.entries if entry.kind == _SETTINGS), None)
    settings = json.loads(entry.body) if entry else {"seasons": []}
    seasons = dict[str, Period]()
    for season in settings["seasons"]:
        closes_at = season["ends_at"] + settings["grace_seconds"] * _MICROS
        final_at = closes_at + season["review_seconds"] * _MICROS
        instants = (season["starts_at"], season["ends_at"], closes_at, final_at)
        period_id = f"season:{season['season_id']}"
        seasons[period_id] = Period(period_id, "season", *instants, 0, None, None, None, None)
    return seasons


def _with_instants(period: Period, other: Period) -> Period:
    """Return a period with the instants of another one."""
    return period._replace(
        starts_at=other.starts_at, ends_at=other.ends_at, closes_at=other.closes_at, final_at=other.final_at
    )


def _find_due(award: Award, periods: Sequence[Period]) -> Iterator[Period]:
    """Yield the period of one kind that an award belongs to, if there is one."""
    instant = award.awarded_at if award.occurred_at is None else award.occurred_at
    held = [period for period in periods if period.starts_at <= instant < period.ends_at]
    if held and _is_closed(held[0], award):
        held = [period for period in periods if period.starts_at <= award.awarded_at < period.ends_at]
    yield from held


def _is_closed(period: Period, award: Award) -> bool:
    """Return whether a period took no award any more when this one was made."""
    is_frozen = period.closed_revision is not None and period.closed_revision < award.revision
    return award.awarded_at >= period.closes_at or is_frozen


def _fold(steps: Iterable[Step]) -> Folds:
    """Add up each period, of everybody: who is hidden stays in results."""
    counting, counts = defaultdict[str, list[Step]](list), dict[int, Sequence[str]]()
    for step in steps:
        match step:
            case Award():
                counts[step.revision] = [period_id for period_id, _ in step.periods]
                for period_id in counts[step.revision]:
                    counting[period_id].append(step)
            case Reversal():
                for period_id in counts.get(step.award_revision, ()):
                    if period_id not in step.final_periods:
                        counting[period_id].append(step)
    return {period_id: add_up(alike) for period_id, alike in counting.items()}


def _check_totals(ledger: Ledger, steps: Sequence[Step]) -> Iterable[Finding]:
    totals = defaultdict[tuple[str, str], int](int)
    for step in steps:
        match step:
            case Award():
                for period_id, total in step.periods:
                    due = totals[period_id, step.user_id] + step.points
                    if total != due:
                        where = f"{ledger.board_id}: {step} in {period_id}, where the sum is {due}"
                        yield Finding(Kind.PERIOD_TOTAL_WRONG, where)
                    totals[period_id, step.user_id] = total
            case Reversal():
                for scope, total, _ in step.standings:
                    totals[scope, step.user_id] = total


def _check_entries(ledger: Ledger, folds: Folds) -> Iterable[Finding]:
    closed = dict[str, Entry]()
    periods = {period.period_id: period for period in ledger.periods}
    for entry in ledger.entries:
        if entry.kind == _CLOSED:
            period_id = read_period_id(entry)
            if period_id in closed:
                yield Finding(Kind.PERIOD_CLOSED_TWICE, f"{ledger.board_id}: {closed[period_id]}, {entry}")
            closed[period_id] = entry
            yield from _check_entry(ledger, entry, periods.get(period_id), folds.get(period_id, {}))
    for period in ledger.periods:
        if (period.entry_revision is None) == (period.period_id in closed):
            where = f"{ledger.board_id}: {period}, {closed.get(period.period_id)}"
            yield Finding(Kind.PERIOD_CLOSE_WRONG, where)


def _check_entry(
    ledger: Ledger, entry: Entry, period: Period | None, fold: Mapping[str, Total]
) -> Iterable[Finding]:
    """Check what an entry says of a period, and the result that is kept of it."""
    where = f"{ledger.board_id}: {entry}"
    said, places = json.loads(entry.body), _rank(fold)
    if period is None or period.entry_revision != entry.revision or entry.entered_at < period.final_at:
        yield Finding(Kind.PERIOD_CLOSE_WRONG, f"{where}: {period}")
        return
    due = (period.closed_revision, len(places), digest_places(places).hex())
    if (said["closed_revision"], said["entrants"], said["digest"]) != due:
        yield Finding(Kind.PERIOD_CLOSE_WRONG, f"{where}: due is {due}")
    if (period.entrants, period.digest) != (len(places), digest_places(places)):
        yield Finding(Kind.PERIOD_CLOSE_WRONG, f"{ledger.board_id}: {period}: due is {due}")
    if list(ledger.results.get(period.period_id, ())) != places:
        yield Finding(Kind.PERIOD_RESULT_WRONG, f"{ledger.board_id}: {period}")


def _check_standings(ledger: Ledger, folds: Folds) -> Iterable[Finding]:
    """Check the standings of the periods that are not final. Those of final ones go little by little."""
    final = {period.period_id for period in ledger.periods if period.entry_revision is not None}
    for period_id in folds.keys() | ledger.period_standings.keys():
        if period_id in final:
            continue
        stands, due = ledger.period_standings.get(period_id, {}), folds.get(period_id, {})
        for user_id in stands.keys() | due.keys():
            if stands.get(user_id) != due.get(user_id):
                where = f"{ledger.board_id}, {period_id}, {user_id}: {stands.get(user_id)}"
                yield Finding(Kind.STANDING_WRONG, f"{where}, due is {due.get(user_id)}")


def _rank(fold: Mapping[str, Total]) -> list[Place]:
    """Rank everybody with points, hidden or not: of equal totals the one reached earlier is better."""
    having = [(user_id, total) for user_id, total in fold.items() if total.total]
    ordered = sorted(having, key=lambda item: (-item[1].total, item[1].reached_revision))
    return [Place(rank, user_id, *total) for rank, (user_id, total) in enumerate(ordered, start=1)]


def digest_places(places: Iterable[Place]) -> bytes:
    """Return the digest of a result."""
    return hashlib.sha256("".join(place.write() for place in places).encode()).digest()
