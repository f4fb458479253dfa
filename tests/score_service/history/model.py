"""A plain model of one board, which judges what was seen of it. Pure.

The model is a list of commits and what they add up to. It does not say what must happen: callers, processes
and stores may do anything at the same time. It takes what the record has become, and judges whether that and
every answer, read and message can be explained by what was asked.
"""

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeGuard

from tests.score_service.history.calendar import START, Span, counting
from tests.score_service.history.operations import POISON, USERS

from score_service.domain.award import MAX_TOTAL, Award, AwardOutcome, RecordedAward
from score_service.domain.board_settings import LatePolicy
from score_service.domain.period import ALL_TIME
from score_service.domain.position import Position
from score_service.domain.standing import BoardView, Standing
from score_service.errors import (
    AwardConflictError,
    BoardNotFoundError,
    PeriodClosedError,
    PeriodUnknownError,
    ScoreServiceError,
    StandingNotFoundError,
    TotalOutOfRangeError,
)


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


class Commit(NamedTuple):
    """What one commit brought, and the position after it."""

    position: Position
    steps: tuple[Row | Entry, ...]

    @property
    def rows(self) -> tuple[Row, ...]:
        return tuple(step for step in self.steps if isinstance(step, Row))


class StoredRow(NamedTuple):
    """A period as the record has it."""

    period_id: str
    starts_at: dt.datetime
    ends_at: dt.datetime
    closes_at: dt.datetime
    final_at: dt.datetime
    opened_revision: int
    closed_revision: int | None
    entrants: int | None
    digest: bytes | None
    entry_revision: int | None


class Record(NamedTuple):
    """What PostgreSQL has of a board."""

    head: Position | None
    commits: tuple[Commit, ...]
    standings: Mapping[str, Sequence[tuple[str, int, int]]]
    """User, total and the revision at which it was reached, by period."""
    results: Mapping[str, Sequence[Standing]]
    """The archive, by period, best first."""
    periods: Mapping[str, StoredRow]


class Answer(NamedTuple):
    """What a caller got."""

    award: Award
    outcome: object
    is_certain: bool
    """Whether Redis could not be of another history at that time, without anyone having looked since."""


Fold = tuple[Standing, ...]
"""What a ledger adds up to, best first."""


class View(NamedTuple):
    """What a reader got."""

    shown: BoardView | ScoreServiceError
    part: Callable[[Fold], Sequence[Standing]]
    """What of the board was asked for."""
    period_id: str | None
    """`ALL_TIME`, the period that is current for who reads, or None where there is none of that kind."""
    head: Position
    """Where the ledger was before."""
    is_fresh: bool
    """Whether it was asked for at that revision or later."""
    is_certain: bool
    """As with an answer."""


def fold(rows: Iterable[Row]) -> Fold:
    """Rank users by what the ledger adds up to: of equal totals the one reached earlier is better."""
    newest = {row.user_id: row for row in rows}
    ordered = sorted(newest.values(), key=lambda row: (-row.total, row.revision))
    return tuple(
        Standing(row.user_id, row.total, rank, row.revision) for rank, row in enumerate(ordered, start=1)
    )


def fold_periods(rows: Sequence[Row]) -> dict[str, Fold]:
    """Do the same for each period that anybody has points in."""
    ids = dict.fromkeys(period_id for row in rows for period_id in row.counts)
    return {
        period_id: fold(row._replace(total=row.counts[period_id]) for row in rows if period_id in row.counts)
        for period_id in ids
    }


def named(board: Fold) -> list[Standing]:
    """Pick the users, in the order of `USERS`."""
    return [standing for user_id in USERS for standing in board if standing.user_id == user_id]


def first_two(board: Fold) -> Fold:
    """Pick the first page."""
    return board[:2]


def around(user_id: str, board: Fold) -> Fold:
    """Pick a user with one neighbour on each side."""
    places = [place for place, standing in enumerate(board) if standing.user_id == user_id]
    return board[max(0, places[0] - 1) : places[0] + 2] if places else ()


@dataclass
class Model:
    """What is known of a board."""

    board_id: str
    commits: tuple[Commit, ...] = ()
    """Of the record as it is."""
    asked: set[Award] = field(default_factory=set)
    founded: set[str] = field(default_factory=set)
    """Awards that nobody asked for: the board began with them."""
    folds: dict[Position, Fold] = field(default_factory=dict)
    """Of every position that the record has ever had."""
    periods: dict[Position, dict[str, Fold]] = field(default_factory=dict)
    """The same of each period, also after it was final."""
    finals: dict[Position, frozenset[str]] = field(default_factory=dict)
    """Which periods were final there."""
    spans: dict[str, Span] = field(default_factory=dict)
    """Of every period that anybody had points in."""
    times: list[dt.datetime] = field(default_factory=list)
    """All that the ledger's clock has shown, the last one now; empty where it was not set."""
    before: dict[Position, Position] = field(default_factory=dict)
    """Which position each of them came after."""
    credited: set[tuple[str, Position]] = field(default_factory=set)
    """Awards that a caller was answered to have made, by id and commit."""
    answers: list[Answer] = field(default_factory=list)
    """Not judged yet; the same goes for what follows."""
    views: list[View] = field(default_factory=list)
    left: list[Award] = field(default_factory=list)
    """Asked for by callers who did not wait, of a process that lives."""

    def __post_init__(self) -> None:
        self.folds[self.start], self.periods[self.start], self.finals[self.start] = (), {}, frozenset()

    @property
    def start(self) -> Position:
        return Position.start(self.board_id)

    @property
    def rows(self) -> tuple[Row, ...]:
        return tuple(row for commit in self.commits for row in commit.rows)

    @property
    def late(self) -> LatePolicy | None:
        """What the settings of the board say of late awards; None where it has none."""
        entries = (s for commit in self.commits for s in commit.steps if isinstance(s, Entry))
        late = [entry.body["late"] for entry in entries if entry.kind == "settings"]
        return LatePolicy(late[-1]) if late else None

    @property
    def now(self) -> dt.datetime:
        return self.times[-1]

    @property
    def head(self) -> Position:
        return self.commits[-1].position if self.commits else self.start

    def total_of(self, user_id: str) -> int:
        return max((row.total for row in self.rows if row.user_id == user_id), default=0)

    def take(self, record: Record) -> None:
        """Check what the record has become, and judge what was answered and read since."""
        known = len(self.commits)
        assert record.commits[:known] == self.commits, "the ledger lost or changed an award"
        for commit in record.commits[known:]:
            self._take_commit(commit)
        assert (record.head or self.start) == self.head, "the board's row is not at the ledger's end"
        self._check_standings(record.standings)
        self._check_periods(record)
        self._judge_answers()
        self._judge_views()
        self._judge_left()

    def lose(self, commits: int) -> None:
        """Forget the newest commits, as a record does that is restored to an older state."""
        self.commits = self.commits[: max(0, len(self.commits) - commits)]

    def has(self, position: Position) -> bool:
        """Return whether the record as it is went through a position."""
        return position == self.start or any(commit.position == position for commit in self.commits)

    def descends(self, position: Position, ancestor: Position) -> bool:
        """Return whether a history that is at a position went through another one, or is there."""
        at: Position | None = position
        while at is not None and at != ancestor:
            at = self.before.get(at)
        return at == ancestor

    def fold_at(self, position: Position, period_id: str) -> Fold:
        """Return what the ledger adds up to at a position, of all time or in a period."""
        assert position in self.folds, f"{position} was never a position of the record"
        return self.folds[position] if period_id == ALL_TIME else self.periods[position].get(period_id, ())

    def live_at(self, position: Position) -> dict[str, Fold]:
        """Return the periods that are not final at a position, and that anybody has points in."""
        at = self.periods[position]
        return {period_id: at[period_id] for period_id in at if period_id not in self.finals[position]}

    def check_shown(
        self, position: Position, standings: Sequence[Standing], period_id: str = ALL_TIME
    ) -> Fold:
        """Check that standings are those of a position: whole, ranked, and no others."""
        at = self.fold_at(position, period_id)
        for standing in standings:
            found = next((s for s in at if s.user_id == standing.user_id), None)
            assert found is not None, f"{standing.user_id} has no award at {position}"
            is_told = standing.rank is not None
            shown = (
                standing
                if is_told
                else Standing(found.user_id, standing.total, found.rank, standing.reached_revision)
            )
            assert shown == found, f"{standing} is shown at {position}, where it is {found}"
        return at

    def _check_standings(self, standings: Mapping[str, Sequence[tuple[str, int, int]]]) -> None:
        folds = {ALL_TIME: self.folds[self.head], **self.periods[self.head]}
        assert standings.keys() <= folds.keys(), "there are standings of a period without points"
        for period_id, at in folds.items():
            found = set(standings.get(period_id, ()))
            expected = {(s.user_id, s.total, s.reached_revision) for s in at}
            is_final = period_id in self.finals[self.head]
            is_right = found <= expected if is_final else found == expected
            assert is_right, "the standings are not the sum of the ledger"

    def _check_periods(self, record: Record) -> None:
        assert record.periods.keys() == self.periods[self.head].keys(), (
            "the periods are not those of the ledger"
        )
        for period_id, stored in record.periods.items():
            span, at = self.spans[period_id], self.periods[self.head][period_id]
            assert stored[1:5] == (span.starts_at, span.ends_at, span.closes_at, span.final_at)
            assert stored.opened_revision == min(r.revision for r in self.rows if period_id in r.counts)
            assert stored.closed_revision is None or max(self.times) >= span.final_at, "closed too early"
            result = list(record.results.get(period_id, ()))
            if period_id in self.finals[self.head]:
                assert (stored.entrants, stored.digest) == (len(at), digest_result(at))
                assert stored.entry_revision is not None
                assert result == list(at), f"the result of {period_id} is not what its awards add up to"
            else:
                assert stored.entry_revision is None, f"{period_id} is final without an entry"
                assert not result or stored.closed_revision is not None
                assert result == list(at[: len(result)]), f"what is archived of {period_id} is wrong"

    def _take_commit(self, commit: Commit) -> None:
        assert commit.steps, "an empty commit"
        revision, time = self.head.revision, self._last_time()
        before, steps = self.head, list[Row | Entry]()
        self.before.setdefault(commit.position, before)
        for step in sorted(commit.steps, key=attrgetter("revision")):
            revision += 1
            assert step.revision == revision, "the revisions have a gap"
            at = step.awarded_at if isinstance(step, Row) else step.entered_at
            assert at >= time, "the ledger's time stepped back"
            assert at in self.times or not self.times, "the ledger has a time of its own"
            time = at
            final = self.finals[before] | {s.body["period_id"] for s in steps if _is_closing(s)}
            rows = (*self.rows, *(s for s in steps if isinstance(s, Row)))
            if isinstance(step, Row):
                self._take_row(step, rows, final)
            else:
                self._take_entry(step, rows, final)
            steps.append(step)
        assert commit.position.revision == revision
        self.commits += (commit,)
        self.folds[commit.position] = fold(self.rows)
        self.periods[commit.position] = fold_periods(self.rows)
        closed = frozenset(step.body["period_id"] for step in commit.steps if _is_closing(step))
        self.finals[commit.position] = self.finals[before] | closed

    def _last_time(self) -> dt.datetime:
        steps = self.commits[-1].steps if self.commits else ()
        times = [step.awarded_at if isinstance(step, Row) else step.entered_at for step in steps]
        return max(times, default=START)

    def _take_row(self, row: Row, before: Sequence[Row], final: frozenset[str]) -> None:
        assert all(row.award_id != other.award_id for other in before), "an award took effect twice"
        assert row.total <= MAX_TOTAL
        if row.award_id in self.founded:
            return
        assert self._is_asked(row), f"nobody asked for {row}"
        total = max((r.total for r in before if r.user_id == row.user_id), default=0)
        assert row.total == total + row.points, f"wrong sum: {row}"
        late = self.late
        spans = counting(late, row.awarded_at, row.occurred_at) if late else []
        assert spans is not None, f"{row} is too late, and was made"
        self.spans.update((span.period_id, span) for span in spans)
        former = {
            span.period_id: max(
                (r.counts.get(span.period_id, 0) for r in before if r.user_id == row.user_id), default=0
            )
            for span in spans
        }
        expected = {period_id: total + row.points for period_id, total in former.items()}
        assert row.counts == expected, f"{row} counts in {row.counts}, where {expected} is right"
        assert final.isdisjoint(row.counts), f"{row} counts in a period that was final"

    def _take_entry(self, entry: Entry, before: Sequence[Row], final: frozenset[str]) -> None:
        if not _is_closing(entry):
            assert entry.kind == "settings"
            return
        period_id, body = entry.body["period_id"], entry.body
        assert period_id not in final, f"{period_id} was closed twice"
        assert entry.entered_at >= self.spans[period_id].final_at, f"{period_id} was closed too early"
        upto = [row for row in before if row.revision <= body["closed_revision"]]
        result = fold_periods(upto).get(period_id, ())
        assert result == fold_periods(before)[period_id], f"{period_id} got points after it was frozen"
        expected = len(result), digest_result(result).hex()
        assert (body["entrants"], body["digest"]) == expected, (
            f"the result of {period_id} is not digested as it is"
        )

    def _is_asked(self, row: Row) -> bool:
        return row.user_id != POISON and any(_is_row_of(row, award) for award in self.asked)

    def _judge_answers(self) -> None:
        answers, self.answers = self.answers, []
        entries = {row.award_id: (row, commit.position) for commit in self.commits for row in commit.rows}
        for answer in answers:
            entry = entries.get(answer.award.award_id)
            if isinstance(answer.outcome, AwardOutcome):
                assert entry, f"{answer.award} was answered and is not in the ledger"
                self._judge_outcome(answer, answer.outcome, *entry)
            else:
                self._judge_refusal(answer, entry and entry[0], answers)

    def _judge_outcome(self, answer: Answer, outcome: AwardOutcome, row: Row, position: Position) -> None:
        told = outcome.recorded
        found = RecordedAward(position=position, **{name: getattr(row, name) for name in _TOLD})
        assert told == found, f"{told} is not {row}"
        assert _payload(answer.award) == _payload(row), "a conflict was answered as a replay"
        assert outcome.replayed == (answer.award.request_id != row.request_id)
        if outcome.is_new:
            assert (row.award_id, position) not in self.credited, "two were told that they made an award"
            self.credited.add((row.award_id, position))
        if outcome.rank is not None:
            positions = (c.position for c in self.commits) if answer.is_certain else self.folds
            ranks = {
                standing.rank
                for position in positions
                if position.revision >= row.revision
                for standing in self.folds[position]
                if standing.user_id == row.user_id
            }
            assert outcome.rank in ranks, f"{row.user_id} never had rank {outcome.rank}"

    def _judge_refusal(self, answer: Answer, row: Row | None, answers: Sequence[Answer]) -> None:
        award = answer.award
        if isinstance(answer.outcome, AwardConflictError):
            assert row, "a conflict with nothing"
            assert _payload(award) != _payload(row), "a replay was answered as a conflict"
        elif isinstance(answer.outcome, TotalOutOfRangeError):
            # An id that is used twice in one call gets both answers together.
            asked = [a.award for a in answers if a.award.award_id == award.award_id]
            assert any(self.total_of(a.user_id) + a.points > MAX_TOTAL for a in asked), "there was room"
        elif isinstance(answer.outcome, PeriodClosedError):
            assert any(self._may_be_refused(a.award) for a in answers if a.award.award_id == award.award_id)
        else:
            assert award.user_id == POISON, f"{award} failed: {answer.outcome!r}"
            assert row is None or row.user_id != POISON

    def _may_be_refused(self, award: Award) -> bool:
        """Return whether an award was late at some time that the ledger's clock has shown."""
        is_refusing = self.late is LatePolicy.REFUSE
        return is_refusing and any(
            counting(LatePolicy.REFUSE, t, award.occurred_at) is None for t in self.times
        )

    def _judge_views(self) -> None:
        views, self.views = self.views, []
        for view in views:
            has_period = view.period_id == ALL_TIME or bool(view.period_id and self.late)
            at_head = self.fold_at(view.head, view.period_id) if view.period_id else ()
            match view.shown:
                case BoardView(standings, position, period=period):
                    assert view.period_id, "a read of a period that there is not"
                    at = self.fold_at(position, view.period_id)
                    assert standings == tuple(view.part(at)), f"wrong at {position}"
                    assert position.revision >= view.head.revision or not view.is_fresh, "an old read"
                    assert self.has(position) or not view.is_certain, "a read of what is not in the record"
                    shown = period.period.period_id if period else ALL_TIME
                    assert shown == view.period_id, "a read of another period"
                    assert period is None or period.entrants == len(at), f"other entrants at {position}"
                case BoardNotFoundError():
                    assert view.head == self.start, "the board was there"
                case PeriodUnknownError():
                    assert not has_period, f"{view.period_id} was there"
                case StandingNotFoundError():
                    may_be_old = not (view.is_fresh and view.is_certain)
                    assert may_be_old or not view.part(at_head), "the user was there"
                case failure:
                    raise AssertionError(f"a read failed: {failure!r}")

    def _judge_left(self) -> None:
        """Check that awards were worked on to the end though nobody waited for the answers."""
        left, self.left = self.left, []
        made = {row.award_id for row in self.rows}
        for award in left:
            is_refused = award.user_id == POISON or self.total_of(award.user_id) + award.points > MAX_TOTAL
            is_refused = is_refused or self._may_be_refused(award)
            assert award.award_id in made or is_refused, f"{award} was given up with its caller"


_TOLD: Final = [name for name in RecordedAward._fields if name not in {"position", "reversed"}]
"""What an answer tells of a row. Nothing is taken back in these histories."""


def digest_result(result: Fold) -> bytes:
    """Digest the result of a period as the record does."""
    lines = (f"{s.rank}\t{s.user_id}\t{s.total}\t{s.reached_revision}\n" for s in result)
    return hashlib.sha256("".join(lines).encode()).digest()


def _is_closing(step: Row | Entry) -> TypeGuard[Entry]:
    return isinstance(step, Entry) and step.kind == "period_closed"


def _payload(award: Award | Row) -> tuple[object, ...]:
    return award.user_id, award.points, award.action_type, award.action_id


def _is_row_of(row: Row, award: Award) -> bool:
    return (
        row.award_id == award.award_id
        and row.request_id == award.request_id
        and row.occurred_at == award.occurred_at
        and _payload(row) == _payload(award)
    )
