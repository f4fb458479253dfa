"""Ledgers with periods, made up: a right one, of which each test bends one thing."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.faults.synthetic import BOARD, make_awards

from faults.model.board import Board
from faults.model.epochs import Epochs
from faults.model.findings import Kind
from faults.model.history import Message, Read, Row
from faults.model.ledger import (
    Award,
    Commit,
    Entry,
    Head,
    Ledger,
    Period,
    Place,
    Total,
    start_digest,
    write_position,
)
from faults.rules.reads import check_reads
from faults.rules.record.ledger import check_ledger, digest_commit
from faults.rules.record.periods import check_due, check_periods, digest_places
from faults.rules.streams.streams import check_streams

START = 1_700_000_000_000_000
SECOND = 1_000_000
BODY = {
    "grace_seconds": 2,
    "seasons": [
        {"ends_at": START + 10 * SECOND, "review_seconds": 0, "season_id": "one", "starts_at": START},
        {
            "ends_at": START + 20 * SECOND,
            "review_seconds": 0,
            "season_id": "two",
            "starts_at": START + 10 * SECOND,
        },
    ],
}
FINAL = [Place(1, "ben", 7, 3), Place(2, "ada", 5, 2)]
"""Of the first season."""


def make_right() -> Ledger:
    """Make a ledger of two seasons: the first one is closed, and had a late award that still counts in it."""
    ada, ben, late, too_late = make_awards([("ada", 5), ("ben", 3), ("ben", 4), ("ada", 1)])
    one, two = "season:one", "season:two"
    awards = [
        ada._replace(revision=2, awarded_at=START + 1 * SECOND, periods=((one, 5),)),
        ben._replace(revision=3, awarded_at=START + 9 * SECOND, periods=((one, 3),)),
        # Of before the end, and made within the grace.
        late._replace(
            revision=4,
            awarded_at=START + 11 * SECOND,
            occurred_at=START + 9 * SECOND,
            periods=((one, 7),),
        ),
        # Of before the end too, but after the grace: it counts in the season of its time in the ledger.
        too_late._replace(
            revision=6,
            awarded_at=START + 13 * SECOND,
            occurred_at=START + 9 * SECOND,
            periods=((two, 1),),
        ),
    ]
    final = [Place(1, "ben", 7, 4), Place(2, "ada", 5, 2)]
    digest = digest_places(final)
    closed = {"closed_revision": 4, "digest": digest.hex(), "entrants": 2, "period_id": one}
    entries = [
        Entry(1, "settings", "operator", "", "", START, json.dumps(BODY)),
        Entry(5, "period_closed", "score-service", "", "", START + 12 * SECOND, json.dumps(closed)),
    ]
    periods = [
        make_period(one, 0, 2, closed_revision=4, entrants=2, digest=digest, entry_revision=5),
        make_period(two, 10, 6),
    ]
    return write_commits(
        Ledger(
            BOARD,
            None,
            awards,
            (),
            {"ada": Total(6, 6), "ben": Total(7, 4)},
            entries,
            periods,
            {two: {"ada": Total(1, 6)}},
            {one: final},
        )
    )


def make_period(period_id: str, starts: int, opened_revision: int, **result: object) -> Period:
    starts_at = START + starts * SECOND
    instants = (starts_at, starts_at + 10 * SECOND, starts_at + 12 * SECOND, starts_at + 12 * SECOND)
    period = Period(period_id, "season", *instants, opened_revision, None, None, None, None)
    return period._replace(**result)  # type: ignore[arg-type]


def write_commits(ledger: Ledger) -> Ledger:
    """Give each award and entry a commit of its own."""
    commits, digest = list[Commit](), start_digest(BOARD)
    rows: Sequence[Award | Entry] = sorted([*ledger.awards, *ledger.entries], key=lambda row: row.revision)
    for row in rows:
        digest = digest_commit(digest, [row])
        commits.append(Commit(row.revision, row.revision, digest))
    return replace(ledger, commits=commits, head=Head(rows[-1].revision, digest))


def bend_award(ledger: Ledger, place: int, **fields: object) -> Ledger:
    awards = list(ledger.awards)
    awards[place] = awards[place]._replace(**fields)  # type: ignore[arg-type]
    return write_commits(replace(ledger, awards=awards))


def bend_period(ledger: Ledger, place: int, **fields: object) -> Ledger:
    periods = list(ledger.periods)
    periods[place] = periods[place]._replace(**fields)  # type: ignore[arg-type]
    return replace(ledger, periods=periods)


def bend_body(ledger: Ledger, **fields: object) -> Ledger:
    entries = list(ledger.entries)
    body = json.dumps(json.loads(entries[1].body) | fields)
    entries[1] = entries[1]._replace(body=body)
    return write_commits(replace(ledger, entries=entries))


def close_again(ledger: Ledger) -> Ledger:
    entries = [*ledger.entries, ledger.entries[1]._replace(revision=7, entered_at=START + 14 * SECOND)]
    return write_commits(replace(ledger, entries=entries))


def take_late(ledger: Ledger) -> Ledger:
    """Have the first season take awards for longer than its settings say, also one that it took."""
    later = START + 14 * SECOND
    longer = bend_period(
        ledger, 0, closes_at=later, final_at=later, closed_revision=None, entry_revision=None
    )
    return bend_award(longer, 3, periods=(("season:one", 6),))


def test_right_ledger_has_no_findings() -> None:
    ledger = make_right()

    assert list(check_ledger(ledger)) == []
    assert list(check_periods(ledger)) == []


def test_ledger_without_periods_has_nothing_to_check() -> None:
    ledger = Ledger(BOARD, None, make_awards([("ada", 5)]), (), {})

    assert list(check_periods(ledger)) == []


@pytest.mark.parametrize(
    ("bend", "kind"),
    [
        (lambda right: bend_award(right, 0, periods=()), Kind.PERIOD_MEMBER_MISSING),
        (lambda right: bend_award(right, 3, periods=(("season:one", 6),)), Kind.PERIOD_MEMBER_WRONG),
        (take_late, Kind.PERIOD_MEMBER_WRONG),
        (take_late, Kind.PERIOD_RANGE_WRONG),
        (lambda right: bend_award(right, 2, periods=(("season:one", 4),)), Kind.PERIOD_TOTAL_WRONG),
        (lambda right: bend_award(right, 1, awarded_at=START), Kind.TIME_BACK),
        (lambda right: bend_period(right, 1, starts_at=START + 9 * SECOND), Kind.PERIOD_RANGE_WRONG),
        (lambda right: bend_period(right, 1, ends_at=START), Kind.PERIOD_RANGE_WRONG),
        (lambda right: bend_period(right, 0, entrants=3), Kind.PERIOD_CLOSE_WRONG),
        (lambda right: bend_period(right, 0, entry_revision=None), Kind.PERIOD_CLOSE_WRONG),
        (lambda right: bend_period(right, 0, final_at=START + 13 * SECOND), Kind.PERIOD_CLOSE_WRONG),
        (lambda right: bend_body(right, entrants=1), Kind.PERIOD_CLOSE_WRONG),
        (lambda right: bend_body(right, digest="00"), Kind.PERIOD_CLOSE_WRONG),
        (close_again, Kind.PERIOD_CLOSED_TWICE),
        (lambda right: replace(right, results={}), Kind.PERIOD_RESULT_WRONG),
        (lambda right: replace(right, results={"season:one": FINAL}), Kind.PERIOD_RESULT_WRONG),
        (lambda right: replace(right, period_standings={}), Kind.STANDING_WRONG),
    ],
)
def test_each_thing_that_is_wrong_is_found(bend: Callable[[Ledger], Ledger], kind: Kind) -> None:
    found = {finding.kind for finding in check_periods(bend(make_right()))}

    assert kind in found


def test_missing_entry_is_a_missing_revision() -> None:
    right = make_right()
    bent = replace(right, entries=right.entries[:1])

    assert Kind.REVISION_MISSING in {finding.kind for finding in check_ledger(bent)}


def test_entry_that_was_changed_breaks_the_chain() -> None:
    right = make_right()
    entries = [right.entries[0]._replace(actor="nobody"), right.entries[1]]

    found = {finding.kind for finding in check_ledger(replace(right, entries=entries))}

    assert found == {Kind.DIGEST_WRONG}


def read_season(**changes: Any) -> Read:
    """Make a read of the first season, at the revision of its last award."""
    ledger = make_right()
    read = Read(
        reader="backend-1",
        board_id=BOARD,
        began=4.3,
        ended=4.4,
        revision=4,
        position=write_position(4, ledger.commits[3].digest),
        source="cache",
        top=(Row("ben", 7, 1, 4), Row("ada", 5, 2, 2)),
        page_size=10,
        users=("ada", "eve"),
        rows=(Row("ada", 5, 2, 2),),
        period="season:one",
    )
    return replace(read, **changes)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"period": ""}, []),  # Up to there all of the board is of this season.
        ({"period": "season:two"}, [Kind.READ_WRONG]),
        ({"period": "season:two", "top": (), "users": (), "rows": ()}, []),
        ({"top": (Row("ben", 7, 1, 4),)}, [Kind.READ_WRONG]),
        ({"rows": ()}, [Kind.READ_WRONG]),
    ],
)
def test_read_of_a_period_shows_what_counts_in_it(changes: dict[str, Any], found: list[Kind]) -> None:
    board = Board(BOARD, [{BOARD: make_right()}])

    findings = check_reads(board, [read_season(**changes)], Epochs([], []))

    assert [finding.kind for finding in findings] == found


def snapshot(period: str, revision: int, top: tuple[Row, ...]) -> Message:
    commit = make_right().commits[revision - 1]
    return Message(
        stream="watch-1",
        connection=0,
        board_id=BOARD,
        at=revision + 0.5,
        event="snapshot",
        revision=revision,
        position=write_position(revision, commit.digest),
        top=top,
        all_scores=True,
        period=period,
    )


@pytest.mark.parametrize(
    ("top", "found"), [((Row("ada", 1, 1, 6),), []), ((Row("ada", 6, 1, 6),), [Kind.STREAM_WRONG])]
)
def test_watch_of_the_current_period_begins_anew_with_the_next(
    top: tuple[Row, ...], found: list[Kind]
) -> None:
    board = Board(BOARD, [{BOARD: make_right()}])
    first = snapshot("season:one", 4, (Row("ben", 7, 1, 4), Row("ada", 5, 2, 2)))

    findings = list(check_streams(board, [first, snapshot("season:two", 6, top)], Epochs([], [])))

    assert [finding.kind for finding in findings if finding.kind is Kind.STREAM_WRONG] == found


@pytest.mark.parametrize(("seconds", "found"), [(51, []), (53, [Kind.PERIOD_UNCLOSED])])
def test_period_that_is_not_closed_long_after_it_was_due_is_found(seconds: int, found: list[Kind]) -> None:
    ledger = replace(make_right(), periods=make_right().periods[1:])

    assert [finding.kind for finding in check_due(ledger, START + seconds * SECOND)] == found


def take_back(revision: int, **changes: Any) -> Ledger:
    """Take an award of the right ledger back, in its last entry."""
    ledger = make_right()
    award = next(award for award in ledger.awards if award.revision == revision)
    body = {
        "award_id": award.award_id,
        "award_revision": award.revision,
        "final_periods": [],
        "on_behalf_of": "",
        "points": award.points,
        "reason": "unearned",
        "reversal_id": "a reversal",
        "user_id": award.user_id,
        **changes,
    }
    entry = Entry(7, "reversal", "operator", "", "", START + 14 * SECOND, json.dumps(body))
    totals = {**ledger.standings, award.user_id: Total(*body["standings"][0][1:])}
    live: dict[str, dict[str, Total]] = {
        scope: {award.user_id: Total(*rest)} for scope, *rest in body["standings"][1:]
    }
    return write_commits(
        replace(
            ledger,
            entries=[*ledger.entries, entry],
            standings=totals,
            period_standings={**ledger.period_standings, **live},
        )
    )


def test_award_that_is_taken_back_after_the_end_of_its_season_stays_in_the_result() -> None:
    ledger = take_back(3, final_periods=["season:one"], standings=[["all_time", 4, 4]])

    assert [*check_ledger(ledger), *check_periods(ledger)] == []
    result = {"season:one": [Place(1, "ada", 5, 2), Place(2, "ben", 4, 4)]}
    changed = {finding.kind for finding in check_periods(replace(ledger, results=result))}
    assert changed == {Kind.PERIOD_RESULT_WRONG}


def test_award_that_is_taken_back_from_an_open_season_is_gone_from_it() -> None:
    ledger = take_back(6, standings=[["all_time", 5, 2], ["season:two", 0, 0]])

    assert [*check_ledger(ledger), *check_periods(ledger)] == []
    stays = replace(ledger, period_standings={"season:two": {"ada": Total(1, 6)}})
    assert {finding.kind for finding in check_periods(stays)} == {Kind.STANDING_WRONG}


def test_season_that_a_reversal_does_not_name_as_it_was_is_found() -> None:
    open_one = take_back(3, standings=[["all_time", 4, 4], ["season:one", 4, 4]])
    final_two = take_back(6, final_periods=["season:two"], standings=[["all_time", 5, 2]])

    for ledger in (open_one, final_two):
        assert Kind.REVERSAL_WRONG in {finding.kind for finding in check_ledger(ledger)}
