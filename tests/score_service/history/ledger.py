"""A ledger as plain values, and what it adds up to by the rules of a board, written down again. Pure."""

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeGuard

from tests.score_service.history.operations import USERS

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.position import Position
from score_service.domain.ledger.visibility import Visibility
from score_service.domain.standings.standing import Standing


class Row(NamedTuple):
    """An award as the ledger must have it."""

    revision: int
    award_id: str
    user_id: str
    points: int
    total: int
    action_type: str
    action_id: str
    request_id: str
    awarded_at: dt.datetime
    occurred_at: dt.datetime | None
    counts: Mapping[str, int]
    """Of each period that it counts in, by the id, the total of the user after it."""


class Entry(NamedTuple):
    """What the ledger has besides awards."""

    revision: int
    kind: str
    entered_at: dt.datetime
    body: Mapping[str, Any]


Step: TypeAlias = Row | Entry


class Commit(NamedTuple):
    """What one commit brought, and the position after it."""

    position: Position
    steps: tuple[Step, ...]


Fold: TypeAlias = tuple[Standing, ...]
"""What a ledger adds up to, best first, regardless of visibility."""


class Shown(NamedTuple):
    """What is shown of a fold."""

    ranked: Fold
    """Of who is visible, best first."""
    own: Mapping[str, Standing]
    """What everyone with points is shown of itself."""
    members: frozenset[str]
    """Who ever got points."""
    hidden: frozenset[str]
    """Who is not visible to all."""


class StoredStanding(NamedTuple):
    """A standing as the record has it."""

    user_id: str
    total: int
    reached_revision: int
    version: int


def rows_of(steps: Iterable[Step]) -> list[Row]:
    """Pick the awards."""
    return [step for step in steps if isinstance(step, Row)]


def entries_of(steps: Iterable[Step], kind: str) -> list[Entry]:
    """Pick the entries of a kind."""
    return [step for step in steps if _is_entry(step, kind)]


def _is_entry(step: Step, kind: str) -> TypeGuard[Entry]:
    return isinstance(step, Entry) and step.kind == kind


def reversals_of(steps: Iterable[Step], period_id: str = ALL_TIME) -> dict[str, Entry]:
    """Find the reversals of awards by the ids of these: of a period, those that came before it was frozen."""
    return {
        entry.body["award_id"]: entry
        for entry in entries_of(steps, "reversal")
        if period_id not in entry.body["final_periods"]
    }


def cut_of(steps: Iterable[Step]) -> int:
    """Return up to which revision awards are archived; 0 where none are."""
    return max((int(entry.body["revision"]) for entry in entries_of(steps, "archived")), default=0)


def visibilities_of(steps: Iterable[Step]) -> dict[str, Visibility]:
    """Return who may see each user that was hidden once."""
    entries = entries_of(steps, "visibility")
    return {entry.body["user_id"]: Visibility(entry.body["visibility"]) for entry in entries}


def periods_of(steps: Iterable[Step]) -> list[str]:
    """List the periods that any award counts in."""
    return list(dict.fromkeys(period_id for row in rows_of(steps) for period_id in row.counts))


def finals_of(steps: Iterable[Step]) -> frozenset[str]:
    """List the periods that are final."""
    return frozenset(entry.body["period_id"] for entry in entries_of(steps, "period_closed"))


def counting_in(steps: Iterable[Step], period_id: str) -> list[Row]:
    """Pick the awards that count in a period, or all."""
    return [row for row in rows_of(steps) if period_id == ALL_TIME or period_id in row.counts]


def fold(steps: Sequence[Step], period_id: str = ALL_TIME) -> Fold:
    """Rank users by the awards that stand: of equal totals the one reached earlier is better."""
    gone = reversals_of(steps, period_id)
    totals, reached = dict[str, int](), dict[str, int]()
    for row in counting_in(steps, period_id):
        if row.award_id not in gone:
            totals[row.user_id] = totals.get(row.user_id, 0) + row.points
            reached[row.user_id] = row.revision
    ordered = sorted(totals, key=lambda user_id: (-totals[user_id], reached[user_id]))
    return tuple(
        Standing(user_id, totals[user_id], rank, reached[user_id])
        for rank, user_id in enumerate(ordered, start=1)
    )


def show(steps: Sequence[Step], period_id: str = ALL_TIME) -> Shown:
    """Leave out who is hidden, and say what these are shown of themselves."""
    seen = visibilities_of(steps)
    hidden = frozenset(user_id for user_id, one in seen.items() if one is not Visibility.VISIBLE)
    ranked, own = list[Standing](), dict[str, Standing]()
    for standing in fold(steps, period_id):
        if standing.user_id in hidden:
            is_told = seen[standing.user_id] is Visibility.SHADOWED
            rank = len(ranked) + 1 if is_told else None
            own[standing.user_id] = Standing(*_sum(standing), rank, standing.reached_revision, hidden=True)
        else:
            place = Standing(*_sum(standing), len(ranked) + 1, standing.reached_revision)
            ranked.append(place)
            own[standing.user_id] = place
    members = frozenset(row.user_id for row in counting_in(steps, period_id))
    return Shown(tuple(ranked), own, members, hidden)


def _sum(standing: Standing) -> tuple[str, int]:
    return standing.user_id, standing.total


def store(steps: Sequence[Step], period_id: str) -> set[StoredStanding]:
    """Return which standings the record must have, also of who has no points left."""
    versions = dict[str, int]()
    for step in steps:
        if isinstance(step, Row):
            is_counting = period_id == ALL_TIME or period_id in step.counts
            versions |= {step.user_id: step.revision} if is_counting else {}
        elif any(scope == period_id for scope, *_ in step.body.get("standings", ())):
            versions[step.body["user_id"]] = step.revision
    at = {standing.user_id: standing for standing in fold(steps, period_id)}
    return {
        StoredStanding(user_id, at[user_id].total, at[user_id].reached_revision, version)
        if user_id in at
        else StoredStanding(user_id, 0, 0, version)
        for user_id, version in versions.items()
    }


def digest_result(result: Fold) -> bytes:
    """Digest the result of a period as the record does."""
    lines = (f"{s.rank}\t{s.user_id}\t{s.total}\t{s.reached_revision}\n" for s in result)
    return hashlib.sha256("".join(lines).encode()).digest()


def named(shown: Shown) -> list[Standing]:
    """Pick the users, in the order of `USERS`."""
    return [shown.own[user_id] for user_id in USERS if user_id in shown.own]


def first_two(shown: Shown) -> Fold:
    """Pick the first page."""
    return shown.ranked[:2]


def around(user_id: str, shown: Shown) -> Fold:
    """Pick a user with one neighbour on each side; nobody around one who is told no rank."""
    own = shown.own.get(user_id)
    if own is None or own.rank is None:
        return ()
    others = tuple(standing for standing in shown.ranked if standing.user_id != user_id)
    place = own.rank - 1
    return (*others[max(0, place - 1) : place], own, *others[place : place + 1])
