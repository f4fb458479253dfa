"""The record checked on a real PostgreSQL: every planted fault is found and named, and nothing else is."""

import asyncio
import uuid

import psycopg
import pytest
from tests.fixtures.servers import postgres
from tests.fixtures.servers.stores import NO_RETRIES, make_award

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.findings import Fault, Finding
from score_service.errors import BoardNotFoundError, RecordUnavailableError
from score_service.operations import verifier as verifier_module
from score_service.operations import walk
from score_service.operations.verifier import Verifier
from score_service.record.database import Database
from score_service.record.ledger import Ledger
from score_service.record.standings import StandingPage, Standings

COMMITS = [[("ada", 10), ("bob", 5), ("ada", 3)], [("cyd", 7), ("bob", 1)], [("ada", 2)]]
"""Six awards in three commits: ada ends with 15 at revision 6, bob with 6 at 5, cyd with 7 at 4."""

SWAP = """
UPDATE score.award SET revision = 100 WHERE revision = {0};
UPDATE score.award SET revision = {0} WHERE revision = {1};
UPDATE score.award SET revision = {1} WHERE revision = 100
"""
ONE_MORE = """
INSERT INTO score.award SELECT board_id, gen_random_uuid(), 7, 'zed', action_type, action_id, 4, 4,
request_id, caller, trace_id, awarded_at, NULL, NULL, NULL, 0 FROM score.award WHERE revision = 6
"""
FAULTS: dict[str, tuple[str, list[Finding]]] = {
    "changed points": (
        "UPDATE score.award SET points = 9 WHERE revision = 1",
        [Finding(Fault.TOTAL_WRONG, 1, "ada"), Finding(Fault.DIGEST_WRONG, 3)],
    ),
    "changed total": (
        "UPDATE score.award SET total_after = 12 WHERE revision = 1",
        [
            Finding(Fault.TOTAL_WRONG, 1, "ada"),
            Finding(Fault.TOTAL_WRONG, 3, "ada"),
            Finding(Fault.DIGEST_WRONG, 3),
        ],
    ),
    "changed caller": (
        "UPDATE score.award SET caller = 'spiffe://test.local/else' WHERE revision = 6",
        [Finding(Fault.DIGEST_WRONG, 6)],
    ),
    "fields that run into each other": (
        "UPDATE score.award SET caller = caller || E'\\t' WHERE revision = 6",
        [Finding(Fault.DIGEST_WRONG, 6)],
    ),
    "time later by a microsecond": (
        "UPDATE score.award SET awarded_at = awarded_at + interval '1 microsecond' WHERE revision = 2",
        [Finding(Fault.DIGEST_WRONG, 3)],
    ),
    "time that is none": (
        "UPDATE score.award SET awarded_at = '-infinity' WHERE revision = 2",
        [Finding(Fault.DIGEST_WRONG, 3)],
    ),
    "award of another user": (
        "UPDATE score.award SET user_id = 'eve' WHERE revision = 4",
        [
            Finding(Fault.DIGEST_WRONG, 5),
            Finding(Fault.STANDING_SURPLUS, None, "cyd"),
            Finding(Fault.STANDING_MISSING, 4, "eve"),
        ],
    ),
    "removed award": (
        "DELETE FROM score.award WHERE revision = 4",
        [
            Finding(Fault.AWARD_MISSING, 4),
            Finding(Fault.DIGEST_WRONG, 5),
            Finding(Fault.STANDING_SURPLUS, None, "cyd"),
        ],
    ),
    "removed award that ended a commit": (
        "DELETE FROM score.award WHERE revision = 5",
        [
            Finding(Fault.AWARD_MISSING, 5),
            Finding(Fault.DIGEST_WRONG, 5),
            Finding(Fault.STANDING_WRONG, 2, "bob"),
        ],
    ),
    "awards swapped in a commit": (
        SWAP.format(1, 2),
        [
            Finding(Fault.PREVIOUS_WRONG, 3, "ada"),
            Finding(Fault.DIGEST_WRONG, 3),
            Finding(Fault.PREVIOUS_WRONG, 5, "bob"),
        ],
    ),
    "awards swapped between commits": (
        SWAP.format(3, 4),
        [
            Finding(Fault.DIGEST_WRONG, 3),
            Finding(Fault.DIGEST_WRONG, 5),
            Finding(Fault.PREVIOUS_WRONG, 6, "ada"),
            Finding(Fault.STANDING_WRONG, 3, "cyd"),
        ],
    ),
    "wrong digest": (
        "UPDATE score.commit SET digest = sha256('') WHERE last_revision = 3",
        [Finding(Fault.DIGEST_WRONG, 3), Finding(Fault.DIGEST_WRONG, 5)],
    ),
    "removed commit": (
        "DELETE FROM score.commit WHERE last_revision = 3",
        [Finding(Fault.COMMIT_NOT_NEXT, 5), Finding(Fault.DIGEST_WRONG, 5)],
    ),
    "commit that begins late": (
        "UPDATE score.commit SET first_revision = 2 WHERE last_revision = 3",
        [Finding(Fault.COMMIT_NOT_NEXT, 3)],
    ),
    "removed last commit": (
        "DELETE FROM score.commit WHERE last_revision = 6",
        [Finding(Fault.COMMIT_MISSING, 6), Finding(Fault.BOARD_WRONG)],
    ),
    "removed tail": (
        "DELETE FROM score.commit WHERE last_revision = 6; DELETE FROM score.award WHERE revision = 6",
        [
            Finding(Fault.AWARD_MISSING, 6),
            Finding(Fault.COMMIT_MISSING, 6),
            Finding(Fault.BOARD_WRONG),
            Finding(Fault.STANDING_WRONG, 3, "ada"),
        ],
    ),
    "award past the end": (
        ONE_MORE,
        [
            Finding(Fault.COMMIT_MISSING, 7),
            Finding(Fault.STANDING_MISSING, 7, "zed"),
        ],
    ),
    "wrong digest of the board": (
        "UPDATE score.board SET digest = sha256('')",
        [Finding(Fault.BOARD_WRONG)],
    ),
    "board set back": ("UPDATE score.board SET revision = 5", [Finding(Fault.BOARD_WRONG)]),
    "board far ahead": (
        "UPDATE score.board SET revision = 9223372036854775807",
        [
            Finding(Fault.AWARD_MISSING, 7),
            Finding(Fault.COMMIT_MISSING, 2**63 - 1),
            Finding(Fault.BOARD_WRONG),
        ],
    ),
    "removed board": ("DELETE FROM score.board", [Finding(Fault.BOARD_WRONG)]),
    "standing off by one": (
        "UPDATE score.standing SET total = total + 1 WHERE user_id = 'bob'",
        [Finding(Fault.STANDING_WRONG, 5, "bob")],
    ),
    "standing reached earlier": (
        "UPDATE score.standing SET reached_revision = 4 WHERE user_id = 'bob'",
        [Finding(Fault.STANDING_WRONG, 5, "bob")],
    ),
    "missing standing": (
        "DELETE FROM score.standing WHERE user_id = 'cyd'",
        [Finding(Fault.STANDING_MISSING, 4, "cyd")],
    ),
    "surplus standing": (
        "INSERT INTO score.standing VALUES ('main', 'all_time', 'zed', 5, 3)",
        [Finding(Fault.STANDING_SURPLUS, None, "zed")],
    ),
}


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifier_module, "_PAGE", 2)
    monkeypatch.setattr(verifier_module, "_USERS_A_PAGE", 2)
    monkeypatch.setattr(walk, "_PAGE", 2)


@pytest.fixture
def verifier(record: Database, standings: Standings) -> Verifier:
    return Verifier(record, standings, NO_RETRIES)


async def make_history(ledger: Ledger) -> None:
    for commit in COMMITS:
        await ledger.record_awards("main", [make_award(user, points) for user, points in commit])


def plant(database: postgres.Database, statements: str) -> None:
    """Change the record behind the service's back, as only an administrator can."""
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute(statements)


async def test_record_as_it_must_be_leaves_nothing_to_find(ledger: Ledger, verifier: Verifier) -> None:
    await make_history(ledger)
    await ledger.record_awards("other", [make_award("ada", board_id="other")])

    verified = await verifier.verify_board("main")

    assert verified.findings.kept == []
    assert (verified.position, verified.commits, verified.standings) == (
        await ledger.read_head("main"),
        3,
        3,
    )


@pytest.mark.parametrize(("statements", "expected"), FAULTS.values(), ids=FAULTS)
async def test_fault_is_found_and_named(
    ledger: Ledger,
    verifier: Verifier,
    database: postgres.Database,
    statements: str,
    expected: list[Finding],
) -> None:
    await make_history(ledger)
    plant(database, statements)

    verified = await verifier.verify_board("main")

    assert verified.findings.kept == expected


class BusyStandings(Standings):
    """Standings of a board on which awards are made before every page that is read."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._ledger = Ledger(database)
        self._names = iter(f"{name}{i}" for i in range(100) for name in ("aa", "mm", "zz"))

    async def read_page(
        self, board_id: str, after_user_id: str, limit: int, period_id: str = ALL_TIME
    ) -> StandingPage | None:
        if after_user_id < "zz":
            users = [next(self._names), "ada", "cyd", next(self._names)]
            await self._ledger.record_awards(board_id, [make_award(user, 1) for user in users])
        return await super().read_page(board_id, after_user_id, limit, period_id)


async def test_awards_made_meanwhile_are_no_faults(ledger: Ledger, record: Database) -> None:
    await make_history(ledger)

    verified = await Verifier(record, BusyStandings(record), NO_RETRIES).verify_board("main")

    assert verified.findings.kept == []
    assert verified.position.revision > 6
    assert verified.standings > 3


@pytest.mark.parametrize("name", ["standing off by one", "missing standing", "wrong digest"])
async def test_fault_is_found_also_while_awards_are_made(
    ledger: Ledger, record: Database, database: postgres.Database, name: str
) -> None:
    await make_history(ledger)
    statements, expected = FAULTS[name]
    plant(database, statements.replace("cyd", "bob"))  # No award is made to bob meanwhile.

    verified = await Verifier(record, BusyStandings(record), NO_RETRIES).verify_board("main")

    assert {finding.fault for finding in verified.findings.kept} == {finding.fault for finding in expected}


async def test_writers_and_a_verifier_do_not_disturb_each_other(
    ledger: Ledger, verifier: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifier_module, "_PAGE", 1000)  # Pages of two would not keep up with the writer.
    monkeypatch.setattr(verifier_module, "_USERS_A_PAGE", 1000)
    monkeypatch.setattr(walk, "_PAGE", 1000)
    await make_history(ledger)
    done = asyncio.Event()

    async def make_awards() -> None:
        while not done.is_set():
            users = [f"user{uuid.uuid4().int % 50}" for _ in range(5)]
            await ledger.record_awards("main", [make_award(user, 1) for user in users])

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(make_awards())
        found = [(await verifier.verify_board("main")).findings.kept for _ in range(5)]
        done.set()

    assert found == [[]] * 5


async def test_progress_ends_where_the_work_does(ledger: Ledger, verifier: Verifier) -> None:
    await make_history(ledger)
    told: list[tuple[str, int, int]] = []

    await verifier.verify_board("main", lambda *progress: told.append(progress))

    assert told == [
        ("ledger", 2, 6),
        ("ledger", 4, 6),
        ("ledger", 6, 6),
        ("standings", 2, 3),
        ("standings", 3, 3),
    ]


async def test_boards_are_named_also_where_only_some_rows_are_left(
    ledger: Ledger, verifier: Verifier, database: postgres.Database
) -> None:
    for board_id in ("b", "a", "A", "c"):
        await ledger.record_awards(board_id, [make_award(board_id=board_id)])
    plant(database, "DELETE FROM score.board WHERE board_id IN ('a', 'c')")
    plant(database, "DELETE FROM score.award WHERE board_id = 'c'")
    plant(database, "DELETE FROM score.commit WHERE board_id = 'c'")

    assert [board_id async for board_id in verifier.find_boards()] == ["A", "a", "b", "c"]
    assert (await verifier.verify_board("c")).findings.kept == [Finding(Fault.BOARD_WRONG)]


async def test_board_of_which_nothing_is_recorded_is_not_found(verifier: Verifier) -> None:
    with pytest.raises(BoardNotFoundError):
        await verifier.verify_board("main")


async def test_record_that_is_unavailable_is_reported_as_such(
    verifier: Verifier, ledger: Ledger, database: postgres.Database
) -> None:
    plant(database, "ALTER SCHEMA score RENAME TO elsewhere")
    with pytest.raises(RecordUnavailableError):
        await verifier.verify_board("main")
