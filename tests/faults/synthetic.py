"""Histories made up: a right one, of which each test bends one thing."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from faults.model.board import Board
from faults.model.epochs import Epochs
from faults.model.findings import Findings, Kind
from faults.model.fold import Fold, fold_at
from faults.model.history import (
    Asked,
    AwardCall,
    Event,
    History,
    Message,
    Outcome,
    Read,
    Restore,
    Result,
    Row,
)
from faults.model.ledger import Award, Commit, Head, Ledger, Total, start_digest, write_position
from faults.model.liveness import Liveness
from faults.model.projection import ALL_TIME, Header, Projection, Standings
from faults.rules.checker import check
from faults.rules.record.ledger import digest_commit

BOARD = "main"
USERS = ("ada", "ben", "eve", "kim", "max")
GREATEST = 2**53 - 1


def make_ledger(awards: Sequence[Award], sizes: Sequence[int] = ()) -> Ledger:
    """Make the ledger of awards, in commits of these sizes, or of one award each."""
    commits, digest, place = list[Commit](), start_digest(BOARD), 0
    for size in sizes or [1] * len(awards):
        batch = awards[place : place + size]
        digest = digest_commit(digest, batch)
        commits.append(Commit(batch[0].revision, batch[-1].revision, digest))
        place += size
    standings = {award.user_id: Total(award.total_after, award.revision) for award in awards}
    return Ledger(BOARD, Head(len(awards), digest), tuple(awards), tuple(commits), standings)


def make_awards(wins: Sequence[tuple[str, int]], former: Sequence[Award] = ()) -> list[Award]:
    """Make awards of users and points, which follow others. The same ones have the same ids."""
    awards = list(former)
    totals = {award.user_id: award.total_after for award in awards}
    for user_id, points in wins:
        totals[user_id] = totals.get(user_id, 0) + points
        before = awards[-1].award_id if awards else BOARD
        award_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{before} {user_id} {points}"))
        award = Award(
            len(awards) + 1,
            award_id,
            user_id,
            "match",
            "match-1",
            points,
            totals[user_id],
            str(uuid.uuid5(uuid.NAMESPACE_OID, award_id)),
            "spiffe://test.local/backend",
            "",
            1_700_000_000_000_000 + len(awards),
        )
        awards.append(award)
    return awards


def fold_of(ledger: Ledger, revision: int | None = None) -> Fold:
    """Fold a ledger up to a revision."""
    (fold,) = fold_at(ledger.awards, [len(ledger.awards) if revision is None else revision])
    return fold


def position_of(ledger: Ledger, revision: int) -> str:
    """Return the position at the end of a commit."""
    commit = next(commit for commit in ledger.commits if commit.last_revision == revision)
    return write_position(revision, commit.digest)


def call_for(award: Award, ledger: Ledger, **changes: Any) -> AwardCall:
    """Make the call that made an award, at the time of its revision."""
    asked = Asked(
        BOARD,
        award.award_id,
        award.user_id,
        award.points,
        award.action_type,
        award.action_id,
        award.request_id,
    )
    end = next(commit for commit in ledger.commits if commit.last_revision >= award.revision)
    rank = fold_of(ledger, end.last_revision).rank(award.user_id)
    position = write_position(end.last_revision, end.digest)
    result = Result(award.points, award.total_after, rank, award.revision, position, replayed=False)
    at = float(award.revision)
    call = AwardCall(
        caller="backend-1", asked=asked, began=at - 0.5, ended=at + 0.2, outcome=Outcome.MADE, result=result
    )
    return replace(call, **changes)


def read_at(ledger: Ledger, revision: int, **changes: Any) -> Read:
    """Make a read of the top and of one user."""
    fold = fold_of(ledger, revision)
    stands = [stand.row for user_id in USERS[:1] if (stand := fold.find(user_id))]
    read = Read(
        reader="backend-1",
        board_id=BOARD,
        began=revision + 0.3,
        ended=revision + 0.4,
        revision=revision,
        position=position_of(ledger, revision),
        source="cache",
        top=tuple(fold.top(3)),
        page_size=3,
        users=USERS[:1],
        rows=tuple(stands),
    )
    return replace(read, **changes)


def message_at(ledger: Ledger, revision: int, event: str, since: int = 0, **changes: Any) -> Message:
    """Make a message of a watch of all scores, with what changed since a revision."""
    fold = fold_of(ledger, revision)
    changed = {award.user_id for award in ledger.awards[since:revision]} if event == "update" else set()
    message = Message(
        stream="watch-1",
        connection=0,
        board_id=BOARD,
        at=revision + 0.3,
        event=event,
        revision=revision,
        position=position_of(ledger, revision),
        top=None if event == "checkpoint" else tuple(fold.top(2)),
        scores=tuple(stand.row for user_id in sorted(changed) if (stand := fold.find(user_id))),
        top_n=2,
        all_scores=True,
    )
    return replace(message, **changes)


def socket_at(ledger: Ledger, revision: int, event: str, **changes: Any) -> Message:
    """Make a message of a socket of the first user."""
    fold = fold_of(ledger, revision)
    top = tuple(row._replace(reached_revision=None) for row in fold.top(10))
    stand = fold.find(USERS[0])
    me = stand.row._replace(reached_revision=None) if stand else Row(USERS[0], 0, None)
    message = Message(
        stream="socket-1",
        connection=0,
        board_id=BOARD,
        at=revision + 0.3,
        event=event,
        revision=revision,
        top=None if event == "score:update" else top,
        scores=() if event == "leaderboard:update" else (me,),
        user_id=USERS[0],
    )
    return replace(message, **changes)


def project(ledger: Ledger, revision: int | None = None) -> Projection:
    """Make what Redis must have at a revision."""
    top = fold_of(ledger, revision).top(GREATEST)
    at = len(ledger.awards) if revision is None else revision
    number, mark = position_of(ledger, at).split("-")
    return Projection(
        board_id=BOARD,
        read_at=at + 0.3,
        header=Header("f00d", number, mark),
        periods={
            ALL_TIME: Standings(
                members=str(len(top)),
                ranks=[(_member(row), str(row.total)) for row in top],
                totals={row.user_id: f"{row.total}:{row.reached_revision}" for row in top},
            )
        },
    )


def _member(row: Row) -> str:
    assert row.reached_revision
    return f"{GREATEST - row.reached_revision:016}{row.user_id}"


WINS = (("ada", 5), ("ben", 5), ("ada", 2), ("eve", 9), ("kim", 7), ("ben", 3), ("max", 7), ("ada", 1))
"""With equal totals: ada and kim 7, later kim and max."""


@dataclass(slots=True)
class Run:
    """A whole run, right as it is made."""

    ledger: Ledger = field(default_factory=lambda: make_ledger(make_awards(WINS), [1, 2, 1, 1, 2, 1]))
    events: list[Event] = field(default_factory=list)
    former: list[Ledger] = field(default_factory=list)
    projections: list[Projection] = field(default_factory=list)
    samples: list[Projection] = field(default_factory=list)
    liveness: Liveness = field(default_factory=Liveness)

    def __post_init__(self) -> None:
        ledger, end = self.ledger, len(self.ledger.awards)
        self.events += [call_for(award, ledger) for award in ledger.awards]
        self.events += [read_at(ledger, revision) for revision in (3, 5)]
        self.events += [
            message_at(ledger, 1, "snapshot"),
            message_at(ledger, 4, "update", 1),
            message_at(ledger, 5, "snapshot", connection=1),
            message_at(ledger, 5, "update", 4, connection=1),
            message_at(ledger, end, "update", 5, connection=1),
            socket_at(ledger, 1, "leaderboard:initial"),
            socket_at(ledger, 4, "score:update"),
            socket_at(ledger, 5, "leaderboard:update"),
            socket_at(ledger, end, "leaderboard:initial", connection=1),
        ]
        self.projections.append(project(ledger))
        self.samples.append(project(ledger, 4))

    def restore(self, wins: Sequence[tuple[str, int]], keep: int, at: float = 20.0) -> None:
        """Put the record back to a copy of its first awards, and make others."""
        self.former.append(self.ledger)
        ends = [commit.last_revision for commit in self.ledger.commits]
        sizes = [end - begin for begin, end in zip([0, *ends], ends, strict=False) if end <= keep]
        awards = make_awards(wins, self.ledger.awards[:keep])
        self.ledger = make_ledger(awards, [*sizes, *([1] * len(wins))])
        self.events.append(Restore(began=at, ended=at + 0.5, former="", copied=keep + 0.4))
        for award in awards[keep:]:
            began = at + award.revision
            self.events.append(call_for(award, self.ledger, began=began, ended=began + 0.1))
        self.projections = [project(self.ledger)]

    def check(self) -> Findings:
        """Judge it."""
        epochs = [{BOARD: ledger} for ledger in [*self.former, self.ledger]]
        history = History(self.events)
        return check(history, epochs, self.projections, self.liveness, self.samples)

    def kinds(self) -> set[Kind]:
        """Judge it, and tell which kinds of findings there are."""
        return set(self.check().counts)

    def change(self, number: int, kind: type[Event], **changes: Any) -> None:
        """Change one of the events of a kind."""
        places = [place for place, event in enumerate(self.events) if isinstance(event, kind)]
        self.events[places[number]] = replace(self.events[places[number]], **changes)


def board_of(*ledgers: Ledger) -> Board:
    """Make the board of ledgers, one an epoch."""
    return Board(BOARD, [{BOARD: ledger} for ledger in ledgers])


NO_RESTORES = Epochs([])
