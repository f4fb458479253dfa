"""Corrections checked on a real PostgreSQL: every planted fault is found and named, and nothing else is."""

import uuid

import psycopg
import pytest
from tests.fixtures.ledgers.periods import (
    DAY,
    DAYS_AND_WEEKS,
    HOUR,
    MONDAY,
    LedgerClock,
    day,
    make_final,
    save_settings,
)
from tests.fixtures.servers import postgres
from tests.fixtures.servers.stores import NO_RETRIES, make_award

from score_service.domain.ledger.award import Award
from score_service.domain.ledger.findings import Fault, Finding
from score_service.domain.ledger.reversal import ReversalRequest
from score_service.domain.ledger.visibility import Visibility
from score_service.errors import RecordUnavailableError
from score_service.operations import verifier as verifier_module
from score_service.operations import walk
from score_service.operations.verifier import Verifier
from score_service.reconcile.rebuild.retry_policy import RetryPolicy
from score_service.record.boards import BoardStore
from score_service.record.corrections import Corrections
from score_service.record.database import BULK_SECONDS, Database
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore
from score_service.record.standings import Standings

MONDAY_ID, TUESDAY_ID = day().period_id, day(1).period_id


def forge(revision: int, said: str, says: str) -> str:
    """Return a statement that has an entry say something else."""
    return f"UPDATE score.entry SET body = replace(body, '{said}', '{says}') WHERE revision = {revision}"


FAULTS: dict[str, tuple[str, list[Finding]]] = {
    "points of a standing": (
        "UPDATE score.standing SET total = total + 1 WHERE user_id = 'ada' AND period = 'all_time'",
        [Finding(Fault.STANDING_WRONG, 10, "ada")],
    ),
    "tie key of a standing": (
        "UPDATE score.standing SET reached_revision = 4 WHERE user_id = 'ada' AND period = 'all_time'",
        [Finding(Fault.STANDING_WRONG, 10, "ada")],
    ),
    "version of a standing": (
        "UPDATE score.standing SET changed_revision = 9 WHERE user_id = 'ada' AND period = 'all_time'",
        [Finding(Fault.STANDING_WRONG, 10, "ada")],
    ),
    "version that is missing": (
        "UPDATE score.standing SET changed_revision = NULL WHERE user_id = 'bob' AND period = 'all_time'",
        [Finding(Fault.STANDING_WRONG, 14, "bob")],
    ),
    "latest award of a user": (
        "UPDATE score.standing SET last_award_revision = 3 WHERE user_id = 'ada' AND period = 'all_time'",
        [Finding(Fault.STANDING_WRONG, None, "ada")],
    ),
    "latest award that is missing": (
        "UPDATE score.standing SET last_award_revision = NULL WHERE user_id = 'ada' AND period = 'all_time'",
        [Finding(Fault.STANDING_WRONG, None, "ada")],
    ),
    "latest award of somebody else": (
        "UPDATE score.standing SET last_award_revision = 3 WHERE user_id = 'bob' AND period = 'all_time'",
        [Finding(Fault.STANDING_WRONG, None, "bob")],
    ),
    "standing that was removed": (
        "DELETE FROM score.standing WHERE user_id = 'cyd' AND period = 'all_time'",
        [Finding(Fault.STANDING_MISSING, 7, "cyd"), Finding(Fault.STANDING_WRONG, None, "cyd")],
    ),
    "award before another one": (
        "UPDATE score.award SET previous_revision = 3 WHERE revision = 5",
        [Finding(Fault.PREVIOUS_WRONG, 5, "ada")],
    ),
    "award before another one that is missing": (
        "UPDATE score.award SET previous_revision = NULL WHERE revision = 5",
        [Finding(Fault.PREVIOUS_WRONG, 5, "ada")],
    ),
    "reversal that is missing": (
        "DELETE FROM score.reversal WHERE revision = 10",
        [Finding(Fault.REVERSAL_WRONG, 10)],
    ),
    "reversal of another award": (
        "UPDATE score.reversal SET award_revision = 2 WHERE revision = 7",
        [Finding(Fault.REVERSAL_WRONG, 7)],
    ),
    "reversal with another id": (
        "UPDATE score.reversal SET reversal_id = gen_random_uuid() WHERE revision = 7",
        [Finding(Fault.REVERSAL_WRONG, 7)],
    ),
    "reversal that is not in the ledger": (
        "INSERT INTO score.reversal VALUES ('main', 8, gen_random_uuid(), 6)",
        [Finding(Fault.REVERSAL_WRONG, 8)],
    ),
    "final period of a reversal": (
        "UPDATE score.reversal SET final_numbers = NULL WHERE revision = 13",
        [Finding(Fault.REVERSAL_WRONG, 13)],
    ),
    "final period that a reversal does not have": (
        "UPDATE score.reversal SET final_numbers = '{1}' WHERE revision = 7",
        [Finding(Fault.REVERSAL_WRONG, 7)],
    ),
    "user who was hidden and is shown": (
        "UPDATE score.visibility SET visibility = 'visible' WHERE user_id = 'bob'",
        [Finding(Fault.VISIBILITY_WRONG, None, "bob")],
    ),
    "user who was hidden by another entry": (
        "UPDATE score.visibility SET revision = 9 WHERE user_id = 'bob'",
        [Finding(Fault.VISIBILITY_WRONG, None, "bob")],
    ),
    "user who is shown for lack of a row": (
        "DELETE FROM score.visibility WHERE user_id = 'bob'",
        [Finding(Fault.VISIBILITY_WRONG, None, "bob")],
    ),
    "user whom no entry hides": (
        "INSERT INTO score.visibility VALUES ('main', 'ada', 'hidden', 8)",
        [Finding(Fault.VISIBILITY_WRONG, None, "ada")],
    ),
    "points of a reversal": (
        forge(10, '"points":4', '"points":5'),
        [Finding(Fault.ENTRY_WRONG, 10, "ada"), Finding(Fault.DIGEST_WRONG, 10)],
    ),
    "what a reversal left": (
        forge(10, '["all_time",3,2]', '["all_time",3,5]'),
        [Finding(Fault.ENTRY_WRONG, 10, "ada"), Finding(Fault.DIGEST_WRONG, 10)],
    ),
    "award of a reversal": (
        forge(10, '"award_revision":5', '"award_revision":2'),
        [Finding(Fault.ENTRY_WRONG, 10, "ada"), Finding(Fault.DIGEST_WRONG, 10)],
    ),
    "user of a reversal": (
        forge(10, '"user_id":"ada"', '"user_id":"zed"'),
        [Finding(Fault.ENTRY_WRONG, 10, "zed"), Finding(Fault.DIGEST_WRONG, 10)],
    ),
    "reversal that is no JSON": (
        "UPDATE score.entry SET body = '[]' WHERE revision = 10",
        [Finding(Fault.ENTRY_WRONG, 10), Finding(Fault.DIGEST_WRONG, 10)],
    ),
    "period that a reversal takes for final": (
        """
        UPDATE score.entry SET body = replace(replace(
            body, 'final_periods":[]', 'final_periods":["day:2026-11-30"]'), ',["day:2026-11-30",3,2]', '')
        WHERE revision = 10
        """,
        [Finding(Fault.ENTRY_WRONG, 12, None, MONDAY_ID), Finding(Fault.DIGEST_WRONG, 10)],
    ),
    "period that a reversal does not take for final": (
        forge(13, '"final_periods":["day:2026-11-30"]', '"final_periods":[]'),
        [Finding(Fault.ENTRY_WRONG, 13, "bob"), Finding(Fault.DIGEST_WRONG, 13)],
    ),
    "who is hidden by an entry": (
        forge(9, "shadowed", "hidden"),
        [Finding(Fault.ENTRY_WRONG, 9, "bob"), Finding(Fault.DIGEST_WRONG, 9)],
    ),
    "visibility that there is not": (
        forge(9, "shadowed", "gone"),
        [Finding(Fault.ENTRY_WRONG, 9, "bob"), Finding(Fault.DIGEST_WRONG, 9)],
    ),
    "standing of a user who is hidden": (
        forge(8, "9,3]", "8,3]"),
        [Finding(Fault.ENTRY_WRONG, 8, "bob"), Finding(Fault.DIGEST_WRONG, 8)],
    ),
    "user who was never there and is hidden": (
        forge(8, "bob", "zed"),
        [Finding(Fault.ENTRY_WRONG, 8), Finding(Fault.DIGEST_WRONG, 8)],
    ),
}
CONSEQUENCES = {
    Fault.TOTAL_WRONG,
    Fault.STANDING_WRONG,
    Fault.STANDING_MISSING,
    Fault.STANDING_SURPLUS,
    Fault.ENTRY_WRONG,
    Fault.PERIOD_WRONG,
    Fault.RESULT_WRONG,
    Fault.REVERSAL_WRONG,
    Fault.VISIBILITY_WRONG,
}
"""What else may be found where the ledger itself is forged, or the way through it."""


@pytest.fixture
def verifier(record: Database, standings: Standings) -> Verifier:
    return Verifier(record, standings, NO_RETRIES)


async def reverse(corrections: Corrections, *awards: Award) -> None:
    requests = [ReversalRequest(award.award_id, str(uuid.uuid4()), "leaked") for award in awards]
    batch = await corrections.reverse_awards(
        "main", requests, actor="spiffe://test.local/operator", trace_id=""
    )
    assert all(batch.is_new)


async def show(corrections: Corrections, user_id: str, visibility: Visibility) -> None:
    await corrections.set_visibility(
        "main",
        user_id,
        visibility,
        "cheats",
        actor="spiffe://test.local/operator",
        on_behalf_of="alice",
        trace_id="",
    )


@pytest.fixture(autouse=True)
async def _history(
    ledger: Ledger,
    board_store: BoardStore,
    periods: PeriodStore,
    corrections: Corrections,
    ledger_clock: LedgerClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Have a Monday with all kinds of corrections, in it and after it: ada keeps 3 of 7, cyd nothing."""
    monkeypatch.setattr(verifier_module, "_PAGE", 2)
    monkeypatch.setattr(verifier_module, "_USERS_A_PAGE", 2)
    monkeypatch.setattr(walk, "_PAGE", 2)
    await save_settings(board_store)
    ada, bob = make_award("ada", 3), make_award("bob", 9)
    await ledger.record_awards("main", [ada, bob], DAYS_AND_WEEKS)
    cyd, more, last = make_award("cyd", 7), make_award("ada", 4), make_award("dan", 1)
    await ledger.record_awards("main", [cyd, more, last], DAYS_AND_WEEKS)
    await reverse(corrections, cyd)  # Revision 7.
    await show(corrections, "bob", Visibility.HIDDEN)
    await show(corrections, "bob", Visibility.SHADOWED)
    await reverse(corrections, more)  # Revision 10.
    ledger_clock.set(MONDAY + DAY + 12 * HOUR)
    again = make_award("bob", 5)
    await ledger.record_awards("main", [again], DAYS_AND_WEEKS)
    await make_final(periods, MONDAY_ID)
    await reverse(corrections, bob)  # Revision 13.
    await show(corrections, "bob", Visibility.HIDDEN)


async def test_corrections_as_they_must_be_leave_nothing_to_find(ledger: Ledger, verifier: Verifier) -> None:
    verified = await verifier.verify_board("main")

    assert verified.findings.kept == []
    assert verified.position == await ledger.read_head("main")
    assert verified.kinds == {"award": 6, "settings": 1, "period_closed": 1, "reversal": 3, "visibility": 3}


@pytest.mark.parametrize(("statements", "expected"), FAULTS.values(), ids=FAULTS)
async def test_fault_is_found_and_named(
    verifier: Verifier, database: postgres.Database, statements: str, expected: list[Finding]
) -> None:
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        assert connection.execute(statements.encode()).rowcount == 1

    verified = await verifier.verify_board("main")

    found = verified.findings.kept
    assert [finding for finding in expected if finding not in found] == [], found
    if {Fault.DIGEST_WRONG, Fault.PREVIOUS_WRONG} & {finding.fault for finding in expected}:
        assert {finding.fault for finding in found} - {f.fault for f in expected} <= CONSEQUENCES
    else:
        assert found == expected


async def test_corrections_meanwhile_are_no_fault(
    record: Database, ledger: Ledger, corrections: Corrections
) -> None:
    awards = [make_award(f"user-{number}") for number in range(6)]
    await ledger.record_awards("main", awards, DAYS_AND_WEEKS)
    left = list(awards)

    class CorrectedDatabase:
        """Corrects something each time that a page is read."""

        async def fetch_all(self, statement: str, *arguments: object, **options: object) -> list[object]:
            if left and statement.startswith(("read_page", "verify_")):
                award = left.pop(0)
                await show(corrections, award.user_id, Visibility.HIDDEN)
                await reverse(corrections, award)
            return await record.fetch_all(statement, *arguments, **options)  # type: ignore[arg-type, return-value]

    database = CorrectedDatabase()
    standings = Standings(database)  # type: ignore[arg-type]
    verified = await Verifier(database, standings, NO_RETRIES).verify_board("main")  # type: ignore[arg-type]

    assert verified.findings.kept == []
    assert left == []


async def test_what_is_not_answered_in_time_is_asked_again_except_at_the_start(
    record: Database, standings: Standings
) -> None:
    asked: dict[str, float | None] = {}

    class BusyDatabase:
        """Answers no question at the first time, but for those that a check begins with."""

        async def fetch_all(
            self,
            statement: str,
            parameters: dict[str, object],
            seconds: float | None = None,
            **options: object,
        ) -> list[object]:
            is_start = statement == "read_cut" or parameters.get("after_board_id") == ""
            if not is_start and statement not in asked:
                asked[statement] = seconds
                raise RecordUnavailableError
            return await record.fetch_all(statement, parameters, seconds, **options)  # type: ignore[arg-type, return-value]

    verifier = Verifier(BusyDatabase(), standings, RetryPolicy(pause=0))  # type: ignore[arg-type]
    boards = [board_id async for board_id in verifier.find_boards()]
    verified = await verifier.verify_board("main")

    assert boards == ["main"]
    assert verified.findings.kept == []
    assert {"find_next_board", "find_period", "list_standing_periods", "verify_periods"} <= asked.keys()
    assert {*asked.values()} == {BULK_SECONDS}
