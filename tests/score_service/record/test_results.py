"""What reads of the result of a final period look at."""

import psycopg
import pytest
from tests.fixtures.ledgers.periods import DAYS_AND_WEEKS, LedgerClock, day, make_final, save_settings
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import make_award

from score_service.domain.ledger.visibility import Visibility
from score_service.record.boards import BoardStore
from score_service.record.corrections import Corrections
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore
from score_service.record.sql import load_statement

DAY_ID = day().period_id
READS: dict[str, dict[str, object]] = {
    "get_results": {"user_ids": ["user-9000"]},
    "list_results": {"after_user_id": "user-9000", "limit": 11},
    "list_results_around": {"user_id": "user-9000", "radius": 5},
    "list_winners": {"period_ids": [DAY_ID], "limit": 3},
}
ADD_ENTRANTS = """
    INSERT INTO score.period_result (board_id, period_number, rank, user_id, total, reached_revision)
    SELECT board_id, period_number, rank + n, 'user-' || n, 1, reached_revision + n
    FROM score.period_result, generate_series(1, 20000) n
"""
"""After the only one that there is."""
PAGES_MAX = 100
"""Of 8 KiB. The whole result has several hundred."""


@pytest.fixture(autouse=True)
async def _result(
    ledger: Ledger,
    board_store: BoardStore,
    periods: PeriodStore,
    corrections: Corrections,
    ledger_clock: LedgerClock,
    database: Database,
) -> None:
    """Have the result of a day with many entrants, one of whom is hidden, and no statistics of it."""
    await save_settings(board_store)
    await ledger.record_awards("main", [make_award("ada")], DAYS_AND_WEEKS)
    ledger_clock.set(day().final_at)
    await make_final(periods, DAY_ID)
    with psycopg.connect(database.admin_dsn) as connection:
        connection.execute(ADD_ENTRANTS)
    await corrections.set_visibility(
        "main", "ada", Visibility.HIDDEN, "no", actor="spiffe://test.local/x", on_behalf_of="", trace_id=""
    )


@pytest.mark.parametrize("name", READS)
def test_reads_of_a_result_do_not_grow_with_it(database: Database, name: str) -> None:
    parameters = {"board_id": "main", "period_id": DAY_ID, **READS[name]}
    statement = b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + load_statement(name).encode()

    with psycopg.connect(database.admin_dsn) as connection:
        row = connection.execute(statement, parameters).fetchone()

    assert row is not None
    ((explained,),) = row
    plan = explained["Plan"]
    assert plan["Actual Rows"] > 0
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < PAGES_MAX
