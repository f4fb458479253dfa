"""The standings in PostgreSQL, read at one position."""

import pytest
from tests.fixtures.stores import make_award

from score_service.database import Database
from score_service.errors import BoardNotFoundError
from score_service.ledger import Ledger
from score_service.standings import StandingPage, Standings


@pytest.fixture
def standings(record: Database) -> Standings:
    return Standings(record)


async def test_pages_go_through_all_users_in_the_order_of_their_ids(
    ledger: Ledger, standings: Standings
) -> None:
    await ledger.record_awards("main", [make_award("bob", 3), make_award("ada", 5), make_award("bob", 4)])
    head = (await ledger.record_awards("main", [make_award("Cyd", 1)])).changes.after
    await ledger.record_awards("other", [make_award("eve", board_id="other")])

    first = await standings.read_page("main", "", 2)
    second = await standings.read_page("main", "ada", 2)

    assert first == StandingPage(head, 2, "ada", "Cyd 1 4\nada 5 2")
    assert second == StandingPage(head, 1, "bob", "bob 7 3")
    assert await standings.read_page("main", "bob", 2) is None


async def test_members_are_counted_at_a_position(ledger: Ledger, standings: Standings) -> None:
    await ledger.record_awards("main", [make_award("bob"), make_award("ada")])
    head = (await ledger.record_awards("main", [make_award("bob")])).changes.after

    assert await standings.count_members("main") == (head, 2)


async def test_board_without_awards_is_not_found(ledger: Ledger, standings: Standings) -> None:
    with pytest.raises(BoardNotFoundError):
        await standings.read_page("main", "", 10)
    with pytest.raises(BoardNotFoundError):
        await standings.count_members("main")
