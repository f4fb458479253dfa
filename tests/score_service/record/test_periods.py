"""Periods on a real PostgreSQL: which ones an award counts in, and how they become final."""

import pytest
from tests.fixtures.periods import (
    DAYS_AND_WEEKS,
    LedgerClock,
    day,
    save_settings,
    week,
    written,
)
from tests.fixtures.stores import make_award

from score_service.domain.changes import Change
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore
from score_service.record.standings import Standings


@pytest.fixture(autouse=True)
def _clock(ledger_clock: LedgerClock) -> None:
    """Have every test begin at noon of the Monday."""


async def test_award_counts_in_the_current_period_of_each_kind(
    ledger: Ledger, periods: PeriodStore, standings: Standings
) -> None:
    await save_settings(periods)
    await ledger.record_awards("main", [make_award("ada", 3)], DAYS_AND_WEEKS)

    batch = written(
        await ledger.record_awards("main", [make_award("ada", 5), make_award("bob", 2)], DAYS_AND_WEEKS)
    )

    changes = (Change("ada", 8, 3), Change("bob", 2, 4))
    assert batch.changes.changes == changes
    assert {key: set(value) for key, value in batch.changes.periods.items()} == {
        day().period_id: set(changes),
        week().period_id: set(changes),
    }
    assert await ledger.read_changes("main", batch.changes.before) == batch.changes
    reading = await standings.list_standings("main", 5, period_id=day().period_id)
    assert [(s.user_id, s.total, s.rank) for s in reading.top] == [("ada", 8, 1), ("bob", 2, 2)]
