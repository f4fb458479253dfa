"""Ledgers that are wrong in one thing each."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.faults.synthetic import USERS, WINS, make_awards, make_ledger
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import make_award

from faults.evidence.record import read_record
from faults.model.findings import Kind
from faults.model.ledger import Head, Ledger, Total
from faults.rules.record.ledger import check_ledger
from score_service.record.ledger import Ledger as RealLedger

LEDGER = make_ledger(make_awards(WINS), [1, 2, 1, 1, 2, 1])


def kinds(ledger: Ledger) -> set[Kind]:
    return {finding.kind for finding in check_ledger(ledger)}


def with_award(ledger: Ledger, place: int, **changes: object) -> Ledger:
    awards = list(ledger.awards)
    awards[place] = awards[place]._replace(**changes)  # type: ignore[arg-type]
    return replace(ledger, awards=awards)


def with_commit(ledger: Ledger, place: int, **changes: object) -> Ledger:
    commits = list(ledger.commits)
    commits[place] = commits[place]._replace(**changes)  # type: ignore[arg-type]
    return replace(ledger, commits=commits)


@given(st.lists(st.tuples(st.sampled_from(USERS), st.integers(1, 100))))
def test_ledger_of_any_awards_is_right(wins: list[tuple[str, int]]) -> None:
    assert kinds(make_ledger(make_awards(wins))) == set()


async def test_ledger_that_the_service_wrote_is_right(database: Database, ledger: RealLedger) -> None:
    for _ in range(3):
        await ledger.record_awards("main", [make_award("ada", 1), make_award("ben", 2), make_award("ada", 3)])

    assert kinds(read_record(database.admin_dsn)["main"]) == set()


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (lambda: with_award(LEDGER, 3, caller="someone"), {Kind.DIGEST_WRONG}),
        (
            lambda: with_award(LEDGER, 3, points=10),
            {Kind.DIGEST_WRONG, Kind.TOTAL_WRONG, Kind.STANDING_WRONG},
        ),
        (lambda: with_award(LEDGER, 7, total_after=9), {Kind.DIGEST_WRONG, Kind.TOTAL_WRONG}),
        (
            lambda: with_award(LEDGER, 7, award_id=LEDGER.awards[0].award_id),
            {Kind.AWARD_DOUBLED, Kind.DIGEST_WRONG},
        ),
        (
            lambda: replace(LEDGER, awards=[*LEDGER.awards[:3], *LEDGER.awards[4:]]),
            {Kind.REVISION_MISSING, Kind.DIGEST_WRONG, Kind.STANDING_WRONG},
        ),
        (lambda: with_commit(LEDGER, 2, digest=bytes(32)), {Kind.DIGEST_WRONG}),
        (lambda: with_commit(LEDGER, 2, first_revision=3), {Kind.COMMIT_WRONG}),
        (lambda: replace(LEDGER, commits=LEDGER.commits[:-1]), {Kind.COMMIT_WRONG, Kind.HEAD_WRONG}),
        (
            lambda: replace(LEDGER, commits=[*LEDGER.commits[:2], *LEDGER.commits[3:]]),
            {Kind.COMMIT_WRONG, Kind.DIGEST_WRONG},
        ),
        (lambda: replace(LEDGER, head=Head(7, LEDGER.commits[-1].digest)), {Kind.HEAD_WRONG}),
        (lambda: replace(LEDGER, head=None), {Kind.HEAD_WRONG}),
        (lambda: replace(LEDGER, standings={**LEDGER.standings, "ada": Total(9, 8)}), {Kind.STANDING_WRONG}),
        (lambda: replace(LEDGER, standings={**LEDGER.standings, "ada": Total(8, 7)}), {Kind.STANDING_WRONG}),
        (lambda: replace(LEDGER, standings={**LEDGER.standings, "zoe": Total(0, 1)}), {Kind.STANDING_WRONG}),
    ],
)
def test_wrong_ledger_is_found(wrong: Callable[[], Ledger], expected: set[Kind]) -> None:
    assert kinds(wrong()) == expected
