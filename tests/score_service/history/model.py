"""A plain model of one board, which judges what was seen of it. Pure.

The model is a list of commits and what they add up to. It does not say what must happen: callers, processes
and stores may do anything at the same time. It takes what the record has become, and judges whether that and
every answer, read and message can be explained by what was asked.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.score_service.history.operations import POISON, USERS

from score_service.domain.award import MAX_TOTAL, Award, AwardOutcome
from score_service.domain.position import Position
from score_service.domain.standing import BoardView, Standing
from score_service.errors import (
    AwardConflictError,
    BoardNotFoundError,
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


class Commit(NamedTuple):
    """The awards of one commit, and the position after it."""

    position: Position
    rows: tuple[Row, ...]


class Record(NamedTuple):
    """What PostgreSQL has of a board."""

    head: Position | None
    commits: tuple[Commit, ...]
    standings: frozenset[tuple[str, int, int]]
    """User, total and the revision at which it was reached."""


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
        self.folds[self.start] = ()

    @property
    def start(self) -> Position:
        return Position.start(self.board_id)

    @property
    def rows(self) -> tuple[Row, ...]:
        return tuple(row for commit in self.commits for row in commit.rows)

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
        standings = {(s.user_id, s.total, s.reached_revision) for s in self.folds[self.head]}
        assert record.standings == standings, "the standings are not the sum of the ledger"
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

    def check_shown(self, position: Position, standings: Sequence[Standing]) -> Fold:
        """Check that standings are those of a position: whole, ranked, and no others."""
        assert position in self.folds, f"{position} was never a position of the record"
        at = self.folds[position]
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

    def _take_commit(self, commit: Commit) -> None:
        revision, ids = self.head.revision, {row.award_id for row in self.rows}
        totals = {standing.user_id: standing.total for standing in self.folds[self.head]}
        for row in commit.rows:
            revision += 1
            assert row.revision == revision, "the revisions have a gap"
            assert row.award_id not in ids, "an award took effect twice"
            if row.award_id not in self.founded:
                assert self._is_asked(row), f"nobody asked for {row}"
                assert row.total == totals.get(row.user_id, 0) + row.points, f"wrong sum: {row}"
            assert row.total <= MAX_TOTAL
            ids.add(row.award_id)
            totals[row.user_id] = row.total
        assert commit.rows, "a commit without awards"
        assert commit.position.revision == revision
        self.before.setdefault(commit.position, self.head)
        self.commits += (commit,)
        self.folds[commit.position] = fold(self.rows)

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
        assert told._asdict() == row._asdict() | {"position": position}, f"{told} is not {row}"
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
        else:
            assert award.user_id == POISON, f"{award} failed: {answer.outcome!r}"
            assert row is None or row.user_id != POISON

    def _judge_views(self) -> None:
        views, self.views = self.views, []
        for view in views:
            match view.shown:
                case BoardView(standings, position):
                    assert position in self.folds, f"{position} was never a position of the record"
                    assert standings == tuple(view.part(self.folds[position])), f"wrong at {position}"
                    assert position.revision >= view.head.revision or not view.is_fresh, "an old read"
                    assert self.has(position) or not view.is_certain, "a read of what is not in the record"
                case BoardNotFoundError():
                    assert view.head == self.start, "the board was there"
                case StandingNotFoundError():
                    may_be_old = not (view.is_fresh and view.is_certain)
                    assert may_be_old or not view.part(self.folds[view.head]), "the user was there"
                case failure:
                    raise AssertionError(f"a read failed: {failure!r}")

    def _judge_left(self) -> None:
        """Check that awards were worked on to the end though nobody waited for the answers."""
        left, self.left = self.left, []
        made = {row.award_id for row in self.rows}
        for award in left:
            is_refused = award.user_id == POISON or self.total_of(award.user_id) + award.points > MAX_TOTAL
            assert award.award_id in made or is_refused, f"{award} was given up with its caller"


def _payload(award: Award | Row) -> tuple[object, ...]:
    return award.user_id, award.points, award.action_type, award.action_id


def _is_row_of(row: Row, award: Award) -> bool:
    return (
        row.award_id == award.award_id
        and row.request_id == award.request_id
        and _payload(row) == _payload(award)
    )
