"""Periods checked on a real PostgreSQL: every planted fault is found and named, and nothing else is."""

import psycopg
import pytest
from tests.fixtures.ledgers.periods import (
    DAY,
    DAYS_AND_WEEKS,
    HOUR,
    MONDAY,
    LedgerClock,
    archive_and_close,
    day,
    save_settings,
    week,
)
from tests.fixtures.servers import postgres
from tests.fixtures.servers.stores import NO_RETRIES, make_award

from score_service.closing.archiver import Archiver
from score_service.domain.board.period import ALL_TIME, PeriodKind
from score_service.domain.ledger.findings import Fault, Finding
from score_service.operations import verifier as verifier_module
from score_service.operations import walk
from score_service.operations.verifier import Verifier
from score_service.record.boards import BoardStore
from score_service.record.database import Database
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore
from score_service.record.standings import StandingPage, Standings

MONDAY_ID, TUESDAY_ID, WEEK_ID = day().period_id, day(1).period_id, week().period_id
TUESDAY_NOON = MONDAY + 36 * HOUR

FAULTS: dict[str, tuple[str, list[Finding]]] = {
    "award in another period": (
        "UPDATE score.award SET period_numbers = '{3,2}' WHERE revision = 3",
        [
            Finding(Fault.DIGEST_WRONG, 3),
            Finding(Fault.ENTRY_WRONG, 6, None, MONDAY_ID),
            Finding(Fault.STANDING_MISSING, 3, "bob", TUESDAY_ID),
        ],
    ),
    "award in no period": (
        "UPDATE score.award SET period_numbers = NULL, period_totals = NULL WHERE revision = 7",
        [
            Finding(Fault.DIGEST_WRONG, 8),
            Finding(Fault.STANDING_WRONG, 4, "ada", WEEK_ID),
            Finding(Fault.STANDING_SURPLUS, None, "ada", TUESDAY_ID),
        ],
    ),
    "total in a period": (
        "UPDATE score.award SET period_totals = '{8,7}' WHERE revision = 5",
        [
            Finding(Fault.TOTAL_WRONG, 5, "cyd", MONDAY_ID),
            Finding(Fault.DIGEST_WRONG, 5),
            Finding(Fault.ENTRY_WRONG, 6, None, MONDAY_ID),
            Finding(Fault.RESULT_WRONG, None, None, MONDAY_ID),
        ],
    ),
    "periods without totals": (
        "UPDATE score.award SET period_totals = '{}' WHERE revision = 5",
        [
            Finding(Fault.TOTAL_WRONG, 5, "cyd", MONDAY_ID),
            Finding(Fault.TOTAL_WRONG, 5, "cyd", WEEK_ID),
            Finding(Fault.DIGEST_WRONG, 5),
        ],
    ),
    "award in a final period": (
        "UPDATE score.award SET period_numbers = '{1,2}' WHERE revision = 7",
        [
            Finding(Fault.PERIOD_OVER, 7, "ada", MONDAY_ID),
            Finding(Fault.DIGEST_WRONG, 8),
            Finding(Fault.STANDING_SURPLUS, None, "ada", TUESDAY_ID),
        ],
    ),
    "when an award happened": (
        "UPDATE score.award SET occurred_at = awarded_at WHERE revision = 7",
        [Finding(Fault.DIGEST_WRONG, 8)],
    ),
    "actor of an entry": (
        "UPDATE score.entry SET actor = 'else' WHERE revision = 1",
        [Finding(Fault.DIGEST_WRONG, 1)],
    ),
    "settings": (
        "UPDATE score.entry SET body = '{}' WHERE revision = 1",
        [Finding(Fault.DIGEST_WRONG, 1)],
    ),
    "which settings hold": (
        "UPDATE score.board SET settings_revision = 2",
        [Finding(Fault.SETTINGS_WRONG)],
    ),
    "removed entry": (
        "DELETE FROM score.entry WHERE revision = 6",
        [
            Finding(Fault.AWARD_MISSING, 6),
            Finding(Fault.DIGEST_WRONG, 6),
            Finding(Fault.STANDING_MISSING, 3, "bob", MONDAY_ID),
            Finding(Fault.STANDING_MISSING, 4, "ada", MONDAY_ID),
            Finding(Fault.STANDING_MISSING, 5, "cyd", MONDAY_ID),
            Finding(Fault.PERIOD_WRONG, None, None, MONDAY_ID),
        ],
    ),
    "entry that is no JSON": (
        "UPDATE score.entry SET body = '{' WHERE revision = 6",
        [
            Finding(Fault.ENTRY_WRONG, 6),
            Finding(Fault.DIGEST_WRONG, 6),
            Finding(Fault.STANDING_MISSING, 3, "bob", MONDAY_ID),
            Finding(Fault.STANDING_MISSING, 4, "ada", MONDAY_ID),
            Finding(Fault.STANDING_MISSING, 5, "cyd", MONDAY_ID),
            Finding(Fault.PERIOD_WRONG, None, None, MONDAY_ID),
        ],
    ),
    "winner": (
        "UPDATE score.period_result SET user_id = 'eve' WHERE rank = 1",
        [Finding(Fault.RESULT_WRONG, None, None, MONDAY_ID)],
    ),
    "removed place": (
        "DELETE FROM score.period_result WHERE rank = 3",
        [Finding(Fault.RESULT_WRONG, None, None, MONDAY_ID)],
    ),
    "added place": (
        "INSERT INTO score.period_result VALUES ('main', 1, 4, 'eve', 1, 5)",
        [Finding(Fault.RESULT_WRONG, None, None, MONDAY_ID)],
    ),
    "result of a final period": (
        "UPDATE score.period SET digest = sha256('') WHERE number = 1",
        [Finding(Fault.PERIOD_WRONG, None, None, MONDAY_ID)],
    ),
    "final period that is opened again": (
        "UPDATE score.period SET entrants = NULL, digest = NULL, entry_revision = NULL WHERE number = 1",
        [Finding(Fault.PERIOD_WRONG, None, None, MONDAY_ID)],
    ),
    "end of a final period": (
        "UPDATE score.period SET ends_at = ends_at - interval '1 microsecond' WHERE number = 1",
        [Finding(Fault.PERIOD_WRONG, None, None, MONDAY_ID)],
    ),
    "zone of a final period": (
        "UPDATE score.period SET time_zone = 'Europe/Berlin' WHERE number = 1",
        [Finding(Fault.PERIOD_WRONG, None, None, MONDAY_ID)],
    ),
    "start of an open period": (
        "UPDATE score.period SET starts_at = starts_at + interval '13 hours' WHERE number = 3",
        [Finding(Fault.PERIOD_WRONG, None, None, TUESDAY_ID)],
    ),
    "first award of an open period": (
        "UPDATE score.period SET opened_revision = 8 WHERE number = 3",
        [Finding(Fault.PERIOD_WRONG, None, None, TUESDAY_ID)],
    ),
    "period that nobody opened": (
        """
        INSERT INTO score.period SELECT board_id, 'day:2027-01-01', kind, 9, starts_at, ends_at, closes_at,
        final_at, time_zone, zone_data, 5 FROM score.period WHERE number = 3
        """,
        [Finding(Fault.PERIOD_WRONG, None, None, "day:2027-01-01")],
    ),
    "standing in a period": (
        f"UPDATE score.standing SET total = total + 1 WHERE user_id = 'ada' AND period = '{TUESDAY_ID}'",
        [Finding(Fault.STANDING_WRONG, 7, "ada", TUESDAY_ID)],
    ),
    "missing standing in a period": (
        f"DELETE FROM score.standing WHERE user_id = 'dan' AND period = '{TUESDAY_ID}'",
        [Finding(Fault.STANDING_MISSING, 8, "dan", TUESDAY_ID)],
    ),
    "surplus standing in a period": (
        f"INSERT INTO score.standing VALUES ('main', '{TUESDAY_ID}', 'zed', 5, 3)",
        [Finding(Fault.STANDING_SURPLUS, None, "zed", TUESDAY_ID)],
    ),
    "standings of a period that never was": (
        "INSERT INTO score.standing VALUES ('main', 'day:2027-01-01', 'zed', 5, 3)",
        [Finding(Fault.STANDING_SURPLUS, None, None, "day:2027-01-01")],
    ),
}


@pytest.fixture
def verifier(record: Database, standings: Standings) -> Verifier:
    return Verifier(record, standings, NO_RETRIES)


async def close_monday(periods: PeriodStore) -> None:
    await periods.freeze_periods("main")
    await archive_and_close(periods, MONDAY_ID)
    await periods.forget_standings("main", MONDAY_ID, "", 5000)


@pytest.fixture(autouse=True)
async def _history(
    ledger: Ledger,
    board_store: BoardStore,
    periods: PeriodStore,
    ledger_clock: LedgerClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Have a Monday that is final, with bob, ada and cyd; a Tuesday with ada and dan; and their week."""
    monkeypatch.setattr(verifier_module, "_PAGE", 2)
    monkeypatch.setattr(verifier_module, "_USERS_A_PAGE", 2)
    monkeypatch.setattr(walk, "_PAGE", 2)
    await save_settings(board_store)
    await ledger.record_awards("main", [make_award("ada", 3), make_award("bob", 9)], DAYS_AND_WEEKS)
    await ledger.record_awards("main", [make_award("ada", 4), make_award("cyd", 7)], DAYS_AND_WEEKS)
    ledger_clock.set(TUESDAY_NOON)
    await close_monday(periods)
    dated = make_award("dan", 2)._replace(occurred_at=TUESDAY_NOON - HOUR)
    await ledger.record_awards("main", [make_award("ada", 5), dated], DAYS_AND_WEEKS)


async def test_record_as_it_must_be_leaves_nothing_to_find(ledger: Ledger, verifier: Verifier) -> None:
    verified = await verifier.verify_board("main")

    assert verified.findings.kept == []
    assert verified.position == await ledger.read_head("main")
    assert verified.kinds == {"award": 6, "settings": 1, "period_closed": 1}
    assert (verified.commits, verified.standings) == (5, 4 + 2 + 4)


@pytest.mark.parametrize(("statements", "expected"), FAULTS.values(), ids=FAULTS)
async def test_fault_is_found_and_named(
    verifier: Verifier, database: postgres.Database, statements: str, expected: list[Finding]
) -> None:
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute(statements.encode())

    verified = await verifier.verify_board("main")

    found = verified.findings.kept
    assert [finding for finding in expected if finding not in found] == [], found
    assert {finding.fault for finding in found} - {f.fault for f in expected} <= CONSEQUENCES


CONSEQUENCES = {
    Fault.TOTAL_WRONG,
    Fault.STANDING_WRONG,
    Fault.STANDING_MISSING,
    Fault.STANDING_SURPLUS,
    Fault.ENTRY_WRONG,
    Fault.PERIOD_WRONG,
    Fault.PERIOD_MISSING,
    Fault.RESULT_WRONG,
}
"""What else may be found where the ledger itself is forged."""


async def test_standings_that_are_not_let_go_yet_are_no_fault(
    ledger: Ledger, periods: PeriodStore, ledger_clock: LedgerClock, verifier: Verifier
) -> None:
    ledger_clock.set(MONDAY + 2 * DAY + HOUR)
    await periods.freeze_periods("main")
    assert (await verifier.verify_board("main")).findings.kept == []
    archive = await Archiver(periods).archive("main", TUESDAY_ID)
    assert (await verifier.verify_board("main")).findings.kept == []
    await periods.close_period(
        "main", TUESDAY_ID, archive.entrants, archive.digest, archive.frozen_digest, "closer"
    )
    assert (await verifier.verify_board("main")).findings.kept == []
    await periods.forget_standings("main", TUESDAY_ID, "", 1)
    assert (await verifier.verify_board("main")).findings.kept == []


class ClosingStandings(Standings):
    """Standings of which a period becomes final while they are read."""

    def __init__(self, database: Database, closes_after: int) -> None:
        super().__init__(database)
        self._periods = PeriodStore(database)
        self._ledger = Ledger(database)
        self._left = closes_after

    async def read_page(
        self, board_id: str, after_user_id: str, limit: int, period_id: str = ALL_TIME
    ) -> StandingPage | None:
        if period_id == TUESDAY_ID:
            if self._left == 0:
                await self._periods.freeze_periods(board_id)
                await archive_and_close(self._periods, period_id, board_id)
                await self._periods.forget_standings(board_id, period_id, "", 1)
                await self._ledger.record_awards(board_id, [make_award("eve")], DAYS_AND_WEEKS)
            self._left -= 1
        return await super().read_page(board_id, after_user_id, limit, period_id)


@pytest.mark.parametrize("pages", [0, 1, 2])
async def test_period_that_becomes_final_meanwhile_is_no_fault(
    record: Database, ledger: Ledger, ledger_clock: LedgerClock, pages: int
) -> None:
    await ledger.record_awards("main", [make_award(user) for user in ("a", "b", "zed")], DAYS_AND_WEEKS)
    ledger_clock.set(MONDAY + 2 * DAY + HOUR)

    verified = await Verifier(record, ClosingStandings(record, pages), NO_RETRIES).verify_board("main")

    assert verified.findings.kept == []


async def test_result_of_which_the_top_is_kept_is_compared_as_far(
    ledger: Ledger,
    periods: PeriodStore,
    ledger_clock: LedgerClock,
    verifier: Verifier,
    database: postgres.Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verifier_module, "_PAGE", 1000)
    monkeypatch.setattr(verifier_module, "_USERS_A_PAGE", 1000)
    monkeypatch.setattr(walk, "_PAGE", 1000)
    for part in range(2):
        await ledger.record_awards(
            "main", [make_award(f"user{part}{n:03}") for n in range(510)], DAYS_AND_WEEKS
        )
    for number, now in ((1, 2), (2, 3)):
        ledger_clock.set(MONDAY + now * DAY + HOUR)
        await ledger.record_awards("main", [make_award("ada")], DAYS_AND_WEEKS)
        await periods.freeze_periods("main")
        period_id = day(number).period_id
        await archive_and_close(periods, period_id)
    assert await periods.prune_results("main", PeriodKind.DAY, 1, 5000) == 22

    assert (await verifier.verify_board("main")).findings.kept == []

    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute("UPDATE score.period_result SET total = total + 1 WHERE rank = 1000")
    assert (await verifier.verify_board("main")).findings.kept == [
        Finding(Fault.RESULT_WRONG, None, None, TUESDAY_ID)
    ]
