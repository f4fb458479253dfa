"""Editions of actions, remembered: how long, and what never is."""

from collections.abc import AsyncIterator

import pytest
from tests.fixtures.servers.postgres import Database
from tests.fixtures.services.gateway import ACTIONS

from action_gateway.actions.catalog import replace_actions
from action_gateway.actions.editions import OFFERED_SECONDS, Editions
from action_gateway.errors import ActionNotFoundError, BadActionTokenError
from action_gateway.store.store import Store
from service_runtime.postgres.pool import PoolSettings

EDITED = ACTIONS[0].model_copy(update={"answer": "XYZ", "points": 11})


class Seconds:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def store(database: Database) -> AsyncIterator[Store]:
    replace_actions(database.gateway_owner_dsn, None, ACTIONS)
    async with Store.open(PoolSettings(database.gateway_runtime_dsn)) as store:
        yield store


async def test_a_new_catalog_is_offered_a_second_later(store: Store, database: Database) -> None:
    seconds = Seconds()
    editions = Editions(store, seconds)
    assert (await editions.get_action("puzzle_123")).points == 10
    assert (await editions.get_action("quick")).points == 5

    replace_actions(database.gateway_owner_dsn, None, [EDITED])
    seconds.now += OFFERED_SECONDS / 2
    assert (await editions.get_action("puzzle_123")).version == 1
    seconds.now += OFFERED_SECONDS / 2
    offered = await editions.get_action("puzzle_123")
    assert (offered.version, offered.points) == (2, 11)
    with pytest.raises(ActionNotFoundError):
        await editions.get_action("quick")


async def test_what_is_not_offered_is_asked_for_each_time(store: Store, database: Database) -> None:
    editions = Editions(store, Seconds())
    replace_actions(database.gateway_owner_dsn, None, [])
    with pytest.raises(ActionNotFoundError):
        await editions.get_action("quick")

    replace_actions(database.gateway_owner_dsn, None, ACTIONS)
    assert (await editions.get_action("quick")).version == 2


async def test_the_answers_of_every_edition_are_its_own(store: Store, database: Database) -> None:
    editions = Editions(store, Seconds())
    for _ in range(2):
        assert (await editions.get_answers("puzzle_123", 1)).texts == ["ABC"]
        with pytest.raises(BadActionTokenError):
            await editions.get_answers("puzzle_123", 2)

    replace_actions(database.gateway_owner_dsn, None, [EDITED])
    for _ in range(2):
        assert (await editions.get_answers("puzzle_123", 1)).texts == ["ABC"]
        assert (await editions.get_answers("puzzle_123", 2)).texts == ["XYZ"]


async def test_more_actions_than_are_remembered_are_read_again(store: Store, database: Database) -> None:
    many = [ACTIONS[0].model_copy(update={"action_id": f"a{n}", "answer": f"{n}"}) for n in range(250)]
    replace_actions(database.gateway_owner_dsn, None, many)
    editions = Editions(store, Seconds())
    for _ in range(2):
        for n in range(250):
            assert (await editions.get_answers(f"a{n}", 1)).texts == [f"{n}"]
