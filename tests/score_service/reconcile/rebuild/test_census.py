"""The members of a board are counted at one position, though awards are made between the pages."""

from typing import Any, cast

import pytest
from tests.fixtures.ledgers.steps import Stepped
from tests.fixtures.servers.stores import NO_RETRIES, make_award

from score_service.errors import BoardNotFoundError
from score_service.reconcile.rebuild.census import Census
from score_service.record.ledger import Ledger
from score_service.record.standings import Standings


@pytest.mark.parametrize("page_size", [1, 2, 5, 6, 7, 100])
async def test_members_are_counted_however_many_pages_they_are(
    ledger: Ledger, standings: Standings, page_size: int
) -> None:
    await ledger.record_awards("other", [make_award("eve", board_id="other")])
    for _ in range(2):
        batch = await ledger.record_awards("main", [make_award(f"user{i}") for i in range(6)])

    census = Census(ledger, standings, NO_RETRIES, page_size=page_size)

    assert await census.count_members("main") == (batch.changes.after, 6)


@pytest.mark.parametrize("page_size", [1, 2, 3, 4, 9])
async def test_who_comes_while_pages_are_counted_is_counted_once(
    ledger: Ledger, standings: Standings, page_size: int
) -> None:
    await ledger.record_awards("main", [make_award(user) for user in ("d", "h", "m", "q")])
    comers = iter(["a", "z", "e", "n", "b", "y", "f", "o"])

    async def come(step: str) -> None:
        if step == "count_page":
            users = [user for user in [next(comers, None)] if user]
            await ledger.record_awards("main", [make_award(user) for user in ("d", *users)])

    census = Census(ledger, cast("Any", Stepped(standings, come)), NO_RETRIES, page_size=page_size)
    position, members = await census.count_members("main")

    assert members == len(await ledger.list_newcomers("main", 0, position.revision))


async def test_board_without_awards_is_not_found(ledger: Ledger, standings: Standings) -> None:
    with pytest.raises(BoardNotFoundError):
        await Census(ledger, standings, NO_RETRIES).count_members("main")
