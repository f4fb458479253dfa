"""A plain model of one board, which judges what was seen of it. Pure.

The model is a list of commits and what they add up to. It does not say what must happen: callers, processes
and stores may do anything at the same time. It takes what the record has become, and judges whether that and
every answer, read and message can be explained by what was asked.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Final, NamedTuple

from tests.score_service.history.calendar import START, Span, counting
from tests.score_service.history.ledger import (
    Commit,
    Entry,
    Row,
    Shown,
    Step,
    StoredStanding,
    counting_in,
    cut_of,
    digest_result,
    entries_of,
    finals_of,
    fold,
    periods_of,
    reversals_of,
    rows_of,
    show,
    store,
    visibilities_of,
)
from tests.score_service.history.operations import BEHALF, POISON, REASON, Show, Undo

from score_service.boards.corrections.corrector import ReversalOutcome
from score_service.domain.board.board_settings import LatePolicy
from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.award import MAX_TOTAL, Award, AwardOutcome, RecordedAward
from score_service.domain.ledger.position import Position
from score_service.domain.ledger.reversal import AwardArchived, AwardMissing, Reversal, ReversalConflict
from score_service.domain.ledger.visibility import Visibility
from score_service.domain.standings.standing import BoardView, Standing
from score_service.errors import (
    AwardArchivedError,
    AwardConflictError,
    AwardNotFoundError,
    AwardReversedError,
    BoardNotFoundError,
    HistoryArchivedError,
    PeriodClosedError,
    PeriodUnknownError,
    ScoreServiceError,
    StandingNotFoundError,
    TotalOutOfRangeError,
)
from score_service.record.corrections import VisibilitySet


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
    standings: Mapping[str, Sequence[StoredStanding]]
    """By period."""
    results: Mapping[str, Sequence[Standing]]
    """The archive, by period, best first."""
    periods: Mapping[str, StoredRow]


class Answer(NamedTuple):
    """What a caller got."""

    award: Award
    outcome: object
    head: Position
    """Where the ledger was before."""
    is_certain: bool
    """Whether Redis could not be of another history at that time, without anyone having looked since."""


class Undone(NamedTuple):
    """What became of an award that was to be taken back."""

    undo: Undo
    outcome: object
    head: Position
    is_certain: bool
    """Both as with an answer."""


class Seen(NamedTuple):
    """What became of saying who may see a user."""

    show: Show
    outcome: object
    head: Position
    """As with an answer."""


class View(NamedTuple):
    """What a reader got."""

    shown: BoardView | ScoreServiceError
    part: Callable[[Shown], Sequence[Standing]]
    """What of the board was asked for."""
    period_id: str | None
    """`ALL_TIME`, the period that is current for who reads, or None where there is none of that kind."""
    head: Position
    """Where the ledger was before."""
    is_fresh: bool
    """Whether it was asked for at that revision or later."""
    is_certain: bool
    """As with an answer."""


@dataclass
class Model:
    """What is known of a board."""

    board_id: str
    commits: tuple[Commit, ...] = ()
    """Of the record as it is."""
    asked: set[Award] = field(default_factory=set)
    founded: set[str] = field(default_factory=set)
    """Awards that nobody asked for: the board began with them."""
    asked_back: set[Undo] = field(default_factory=set)
    asked_to_show: set[tuple[str, Visibility]] = field(default_factory=set)
    ledgers: dict[Position, tuple[Step, ...]] = field(default_factory=dict)
    """What leads to every position that the record has ever had."""
    _shown: dict[tuple[Position, str], Shown] = field(default_factory=dict)
    """What was looked at, of all time and of periods."""
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
    undone: list[Undone] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    left: list[Award] = field(default_factory=list)
    """Asked for by callers who did not wait, of a process that lives; the same goes for what follows."""
    left_back: list[Undo] = field(default_factory=list)
    """Of awards that were made by then."""

    def __post_init__(self) -> None:
        self.ledgers[self.start] = ()

    @property
    def start(self) -> Position:
        return Position.start(self.board_id)

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.ledgers[self.head]

    @property
    def rows(self) -> list[Row]:
        return rows_of(self.steps)

    @property
    def late(self) -> LatePolicy | None:
        """What the settings of the board say of late awards; None where it has none."""
        entries = entries_of(self.steps, "settings")
        return LatePolicy(entries[-1].body["late"]) if entries else None

    @property
    def now(self) -> dt.datetime:
        return self.times[-1]

    @property
    def head(self) -> Position:
        return self.commits[-1].position if self.commits else self.start

    def most_of(self, user_id: str) -> int:
        """Return the most that a user ever had."""
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
        self._judge_undone()
        self._judge_seen()
        self._judge_views()
        self._judge_left()

    def lose(self, commits: int) -> None:
        """Forget the newest commits, as a record does that is restored to an older state."""
        self.commits = self.commits[: max(0, len(self.commits) - commits)]
        # One that is made again while no time passes comes to where it was.
        self.credited = {(award_id, position) for award_id, position in self.credited if self.has(position)}

    def has(self, position: Position) -> bool:
        """Return whether the record as it is went through a position."""
        return position == self.start or any(commit.position == position for commit in self.commits)

    def descends(self, position: Position, ancestor: Position) -> bool:
        """Return whether a history that is at a position went through another one, or is there."""
        at: Position | None = position
        while at is not None and at != ancestor:
            at = self.before.get(at)
        return at == ancestor

    def commit_at(self, position: Position) -> Position:
        """Return the position after the commit that a position is within: both have the same mark."""
        found = (at for at in self.ledgers if at.mark == position.mark)
        return next(found)

    def shown_at(self, position: Position, period_id: str = ALL_TIME) -> Shown:
        """Return what is shown at a position, of all time or of a period."""
        assert position in self.ledgers, f"{position} was never a position of the record"
        key = position, period_id
        if key not in self._shown:
            self._shown[key] = show(self.ledgers[position], period_id)
        return self._shown[key]

    def live_at(self, position: Position) -> dict[str, Shown]:
        """Return the periods that are not final at a position, and that anybody got points in."""
        steps = self.ledgers[position]
        live = [period_id for period_id in periods_of(steps) if period_id not in finals_of(steps)]
        return {period_id: self.shown_at(position, period_id) for period_id in live}

    def check_shown(
        self, position: Position, standings: Sequence[Standing], period_id: str = ALL_TIME
    ) -> Shown:
        """Check that standings are those of a position: as they are ranked, and of nobody else."""
        at = self.shown_at(position, period_id)
        for standing in standings:
            found = at.own.get(standing.user_id)
            if found is None:
                is_gone = standing.user_id in at.members and not standing.total and not standing.rank
                assert is_gone, f"{standing.user_id} has no award at {position}"
                continue
            shown = standing if standing.rank is not None else replace(standing, rank=found.rank)
            assert shown == found, f"{standing} is shown at {position}, where it is {found}"
        return at

    def _check_standings(self, standings: Mapping[str, Sequence[StoredStanding]]) -> None:
        periods = periods_of(self.steps)
        assert standings.keys() <= {ALL_TIME, *periods}, "there are standings of a period without points"
        for period_id in (ALL_TIME, *periods):
            found, expected = set(standings.get(period_id, ())), store(self.steps, period_id)
            is_final = period_id in finals_of(self.steps)
            is_right = found <= expected if is_final else found == expected
            assert is_right, f"the standings are not the sum of the ledger: {found ^ expected}"

    def _check_periods(self, record: Record) -> None:
        assert record.periods.keys() == set(periods_of(self.steps)), "the periods are not those of the ledger"
        for period_id, stored in record.periods.items():
            span, at = self.spans[period_id], fold(self.steps, period_id)
            assert stored[1:5] == (span.starts_at, span.ends_at, span.closes_at, span.final_at)
            assert stored.opened_revision == counting_in(self.steps, period_id)[0].revision
            assert stored.closed_revision is None or max(self.times) >= span.final_at, "closed too early"
            result = list(record.results.get(period_id, ()))
            if period_id in finals_of(self.steps):
                assert (stored.entrants, stored.digest) == (len(at), digest_result(at))
                assert stored.entry_revision is not None
                assert result == list(at), f"the result of {period_id} is not what its awards add up to"
            else:
                assert stored.entry_revision is None, f"{period_id} is final without an entry"
                assert not result or stored.closed_revision is not None
                assert result == list(at[: len(result)]), f"what is archived of {period_id} is wrong"

    def _take_commit(self, commit: Commit) -> None:
        assert commit.steps, "an empty commit"
        time, before, steps = self._last_time(), self.head, list(self.steps)
        self.before.setdefault(commit.position, before)
        added = sorted(commit.steps, key=attrgetter("revision"))
        for revision, step in enumerate(added, before.revision + 1):
            assert step.revision == revision, "the revisions have a gap"
            at = step.awarded_at if isinstance(step, Row) else step.entered_at
            assert at >= time, "the ledger's time stepped back"
            assert at in self.times or not self.times, "the ledger has a time of its own"
            time = at
            if isinstance(step, Row):
                self._take_row(step, steps)
            else:
                self._take_entry(step, steps)
            steps.append(step)
        assert commit.position.revision == steps[-1].revision
        self.commits += (commit,)
        self.ledgers[commit.position] = tuple(steps)

    def _last_time(self) -> dt.datetime:
        times = [step.awarded_at if isinstance(step, Row) else step.entered_at for step in self.steps[-1:]]
        return max(times, default=START)

    def _take_row(self, row: Row, before: Sequence[Step]) -> None:
        assert all(row.award_id != other.award_id for other in rows_of(before)), "an award took effect twice"
        assert row.total <= MAX_TOTAL
        if row.award_id in self.founded:
            return
        assert self._is_asked(row), f"nobody asked for {row}"
        assert row.total == _total(before, row.user_id) + row.points, f"wrong sum: {row}"
        late = self.late
        spans = counting(late, row.awarded_at, row.occurred_at) if late else []
        assert spans is not None, f"{row} is too late, and was made"
        self.spans.update((span.period_id, span) for span in spans)
        expected = {
            span.period_id: _total(before, row.user_id, span.period_id) + row.points for span in spans
        }
        assert row.counts == expected, f"{row} counts in {row.counts}, where {expected} is right"
        assert finals_of(before).isdisjoint(row.counts), f"{row} counts in a period that was final"

    def _take_entry(self, entry: Entry, before: Sequence[Step]) -> None:
        match entry.kind:
            case "period_closed":
                self._take_closing(entry, before)
            case "reversal":
                self._take_reversal(entry, before)
            case "visibility":
                self._take_visibility(entry, before)
            case "archived":
                self._take_archived(entry, before)
            case kind:
                assert kind == "settings"

    def _take_closing(self, entry: Entry, before: Sequence[Step]) -> None:
        period_id, body = entry.body["period_id"], entry.body
        assert period_id not in finals_of(before), f"{period_id} was closed twice"
        assert entry.entered_at >= self.spans[period_id].final_at, f"{period_id} was closed too early"
        upto = [step for step in before if step.revision <= body["closed_revision"]]
        result = fold(upto, period_id)
        assert result == fold(before, period_id), f"{period_id} changed after it was frozen"
        expected = len(result), digest_result(result).hex()
        assert (body["entrants"], body["digest"]) == expected, (
            f"the result of {period_id} is not digested as it is"
        )

    def _take_archived(self, entry: Entry, before: Sequence[Step]) -> None:
        cut, body = entry.body["revision"], entry.body
        (position,) = [commit.position for commit in self.commits if commit.position.revision == cut]
        assert cut > cut_of(before), "it was archived before"
        assert body["digest"].startswith(position.mark), f"the cut is at {position}, and says {body}"
        assert body["awards"] == len(rows_of(before[:cut]))
        assert body["commits"] == len([one for one in self.commits if one.position.revision <= cut])
        assert finals_of(before).issuperset(periods_of(before[:cut])), "a period was cut that is not final"

    def _take_reversal(self, entry: Entry, before: Sequence[Step]) -> None:
        body, gone = entry.body, entries_of(before, "reversal")
        undo = body["award_id"], body["reversal_id"]
        assert undo in {one.ids for one in self.asked_back}, f"nobody asked for {entry}"
        assert all(undo[0] != other.body["award_id"] for other in gone), "an award was taken back twice"
        assert all(undo[1] != other.body["reversal_id"] for other in gone), "a reversal took two awards back"
        (row,) = [row for row in rows_of(before) if row.award_id == undo[0]]
        assert row.revision > cut_of(before), "an award was taken back that is archived"
        told = body["award_revision"], body["user_id"], body["points"], body["reason"], body["on_behalf_of"]
        assert told == (row.revision, row.user_id, row.points, REASON, BEHALF), f"{entry} is not of {row}"
        final = [period_id for period_id in row.counts if entry.entered_at >= self.spans[period_id].final_at]
        assert body["final_periods"] == final, f"{entry}: {final} were final"
        live = [period_id for period_id in row.counts if period_id not in final]
        self._check_told(entry, before, live)

    def _take_visibility(self, entry: Entry, before: Sequence[Step]) -> None:
        user_id, now = entry.body["user_id"], Visibility(entry.body["visibility"])
        assert (user_id, now) in self.asked_to_show, f"nobody asked for {entry}"
        assert (entry.body["reason"], entry.body["on_behalf_of"]) == (REASON, BEHALF)
        assert now is not visibilities_of(before).get(user_id, Visibility.VISIBLE), "it was so already"
        periods = [period_id for period_id in periods_of(before) if period_id not in finals_of(before)]
        self._check_told(
            entry, before, [p for p in periods if any(r.user_id == user_id for r in counting_in(before, p))]
        )

    def _check_told(self, entry: Entry, before: Sequence[Step], periods: Sequence[str]) -> None:
        """Check what an entry says that the standings of its user became."""
        expected, user_id = list[list[object]](), entry.body["user_id"]
        for period_id in (ALL_TIME, *periods):
            at = [one for one in fold([*before, entry], period_id) if one.user_id == user_id]
            sums = [at[0].total, at[0].reached_revision] if at else [0, 0]
            expected.append([period_id, *sums])
        assert entry.body["standings"] == expected, f"{entry}, where {expected} is right"

    def _is_asked(self, row: Row) -> bool:
        return row.user_id != POISON and any(_is_row_of(row, award) for award in self.asked)

    def _judge_answers(self) -> None:
        answers, self.answers = self.answers, []
        entries = {
            row.award_id: (row, commit.position) for commit in self.commits for row in rows_of(commit.steps)
        }
        for answer in answers:
            entry = entries.get(answer.award.award_id)
            if isinstance(answer.outcome, AwardOutcome):
                assert entry, f"{answer.award} was answered and is not in the ledger"
                self._judge_outcome(answer, answer.outcome, *entry)
            else:
                self._judge_rejection(answer, entry and entry[0], answers)

    def _judge_outcome(self, answer: Answer, outcome: AwardOutcome, row: Row, position: Position) -> None:
        told = outcome.recorded
        found = RecordedAward(position=position, **{name: getattr(row, name) for name in _TOLD})
        assert told._replace(reversed=False) == found, f"{told} is not {row}"
        assert row.revision > cut_of(self.ledgers[answer.head]), f"{told} is archived"
        gone = reversals_of(self.steps).get(row.award_id)
        assert gone or not told.reversed, f"{told} stands"
        was_gone = gone and gone.revision <= answer.head.revision
        assert told.reversed or not was_gone, f"{told} was answered as if it stood"
        assert _payload(answer.award) == _payload(row), "a conflict was answered as a replay"
        assert outcome.replayed == (answer.award.request_id != row.request_id)
        if outcome.is_new:
            assert (row.award_id, position) not in self.credited, "two were told that they made an award"
            self.credited.add((row.award_id, position))
        self._judge_rank(row.user_id, outcome.rank, row.revision, is_certain=answer.is_certain)

    def _judge_rank(self, user_id: str, rank: int | None, since: int, *, is_certain: bool) -> None:
        """Check that a user had a rank at some position from a revision on."""
        if rank is None:
            return
        positions = (c.position for c in self.commits) if is_certain else self.ledgers
        shown = (self.shown_at(position).own for position in positions if position.revision >= since)
        ranks = {own[user_id].rank for own in shown if user_id in own}
        assert rank in ranks, f"{user_id} never had rank {rank}"

    def _judge_undone(self) -> None:
        """Check what was answered of reversals."""
        undone, self.undone = self.undone, []
        at = {
            entry.body["award_id"]: (entry, commit.position)
            for commit in self.commits
            for entry in entries_of(commit.steps, "reversal")
        }
        for one in undone:
            match one.outcome:
                case ReversalOutcome(reversal, rank):
                    self._judge_reversal(one.undo, reversal, *at[reversal.award_id])
                    self._judge_rank(reversal.user_id, rank, reversal.revision, is_certain=one.is_certain)
                case Reversal() as reversal:
                    self._judge_reversal(one.undo, reversal, *at[reversal.award_id])
                case AwardReversedError(reversal=Reversal() as standing) | ReversalConflict(standing):
                    assert (standing.award_id, standing.reversal_id) != one.undo.ids, "a replay was rejected"
                    is_rival = standing.award_id == one.undo.ids[0] or standing.reversal_id == one.undo.ids[1]
                    assert is_rival, f"{standing} has nothing to do with {one.undo}"
                    assert standing == _reversal(*at[standing.award_id], standing)
                case HistoryArchivedError() | AwardArchived():
                    self._judge_archived(one.undo)
                case AwardNotFoundError() | BoardNotFoundError() | AwardMissing():
                    had = self.ledgers[one.head]
                    assert one.undo.ids[0] not in {row.award_id for row in rows_of(had)}, "it was there"
                case failure:
                    raise AssertionError(f"{one.undo} failed: {failure!r}")

    def _judge_archived(self, undo: Undo) -> None:
        (row,) = [row for row in self.rows if row.award_id == undo.ids[0]]
        assert row.revision <= cut_of(self.steps), f"{row} is not archived"

    def _judge_reversal(self, undo: Undo, told: Reversal, entry: Entry, position: Position) -> None:
        assert (told.award_id, told.reversal_id) == undo.ids, f"{undo} was answered with {told}"
        assert told == _reversal(entry, position, told), f"{told} is not {entry}"

    def _judge_seen(self) -> None:
        """Check what was answered of saying who may see users."""
        seen, self.seen = self.seen, []
        for one in seen:
            user_id = one.show.user_id
            match one.outcome:
                case VisibilitySet(_, before, visibility, revision, position):
                    assert visibility is one.show.visibility
                    assert position in self.ledgers, f"{position} was never a position of the record"
                    entries = entries_of(self.ledgers[position], "visibility")
                    said = [entry for entry in entries if entry.body["user_id"] == user_id]
                    assert revision == (said[-1].revision if said else 0), f"{one} is not {said}"
                    assert visibilities_of(said).get(user_id, Visibility.VISIBLE) is visibility
                    earlier = visibilities_of(said[:-1]).get(user_id, Visibility.VISIBLE)
                    assert before in {earlier, visibility}, f"{one}: it was {earlier}"
                case StandingNotFoundError() | BoardNotFoundError():
                    had = rows_of(self.ledgers[one.head])
                    assert user_id not in {row.user_id for row in had}, "the user was there"
                case failure:
                    raise AssertionError(f"{one.show} failed: {failure!r}")

    def _judge_rejection(self, answer: Answer, row: Row | None, answers: Sequence[Answer]) -> None:
        award = answer.award
        if isinstance(answer.outcome, AwardArchivedError):
            assert row, "nothing is archived of it"
            assert answer.outcome.revision == row.revision <= cut_of(self.steps), f"{row} is not archived"
        elif isinstance(answer.outcome, AwardConflictError):
            assert row, "a conflict with nothing"
            assert _payload(award) != _payload(row), "a replay was answered as a conflict"
        elif isinstance(answer.outcome, TotalOutOfRangeError):
            # An id that is used twice in one call gets both answers together.
            asked = [a.award for a in answers if a.award.award_id == award.award_id]
            assert any(self.most_of(a.user_id) + a.points > MAX_TOTAL for a in asked), "there was room"
        elif isinstance(answer.outcome, PeriodClosedError):
            assert any(self._may_be_rejected(a.award) for a in answers if a.award.award_id == award.award_id)
        else:
            assert award.user_id == POISON, f"{award} failed: {answer.outcome!r}"
            assert row is None or row.user_id != POISON

    def _may_be_rejected(self, award: Award) -> bool:
        """Return whether an award was late at some time that the ledger's clock has shown."""
        is_rejecting = self.late is LatePolicy.REFUSE
        return is_rejecting and any(
            counting(LatePolicy.REFUSE, t, award.occurred_at) is None for t in self.times
        )

    def _judge_views(self) -> None:
        views, self.views = self.views, []
        for view in views:
            has_period = view.period_id == ALL_TIME or bool(view.period_id and self.late)
            at_head = self.shown_at(view.head, view.period_id or ALL_TIME)
            match view.shown:
                case BoardView(standings, position, period=period):
                    assert view.period_id, "a read of a period that there is not"
                    at = self.shown_at(position, view.period_id)
                    assert standings == tuple(view.part(at)), f"wrong at {position}"
                    assert position.revision >= view.head.revision or not view.is_fresh, "an old read"
                    assert self.has(position) or not view.is_certain, "a read of what is not in the record"
                    shown = period.period.period_id if period else ALL_TIME
                    assert shown == view.period_id, "a read of another period"
                    entrants = period and period.entrants
                    assert entrants in {None, len(at.ranked)}, f"other entrants at {position}"
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
            is_rejected = award.user_id == POISON or self.most_of(award.user_id) + award.points > MAX_TOTAL
            is_rejected = is_rejected or self._may_be_rejected(award)
            assert award.award_id in made or is_rejected, f"{award} was given up with its caller"
        left_back, self.left_back = self.left_back, []
        gone = entries_of(self.steps, "reversal")
        known = {entry.body[name] for entry in gone for name in ("award_id", "reversal_id")}
        known |= {row.award_id for row in self.rows if row.revision <= cut_of(self.steps)}
        for undo in left_back:
            assert known.intersection(undo.ids), f"{undo} was given up with its caller"


_TOLD: Final = [name for name in RecordedAward._fields if name not in {"position", "reversed"}]


def _total(steps: Sequence[Step], user_id: str, period_id: str = ALL_TIME) -> int:
    return sum(standing.total for standing in fold(steps, period_id) if standing.user_id == user_id)


def _reversal(entry: Entry, position: Position, told: Reversal) -> Reversal:
    """Make what is to be told of a reversal; who asked for it is not looked at."""
    body = entry.body
    return Reversal(
        reversal_id=body["reversal_id"],
        award_id=body["award_id"],
        award_revision=body["award_revision"],
        user_id=body["user_id"],
        points=body["points"],
        total=body["standings"][0][1],
        revision=entry.revision,
        position=position,
        reason=REASON,
        actor=told.actor,
        on_behalf_of=body["on_behalf_of"],
        recorded_at=entry.entered_at,
        final_periods=tuple(body["final_periods"]),
    )


def _payload(award: Award | Row) -> tuple[object, ...]:
    return award.user_id, award.points, award.action_type, award.action_id


def _is_row_of(row: Row, award: Award) -> bool:
    return (
        row.award_id == award.award_id
        and row.request_id == award.request_id
        and row.occurred_at == award.occurred_at
        and _payload(row) == _payload(award)
    )
