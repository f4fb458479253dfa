"""Who has left, as each process knows it."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.gateway import MovableClock

from action_gateway.accounts.departed import Departed, DepartureSource
from action_gateway.errors import UnavailableError
from action_gateway.store.departures import Departure
from action_gateway.store.store import Store, User
from service_runtime.postgres.pool import PoolSettings


@asynccontextmanager
async def following(departed: Departed, source: DepartureSource) -> AsyncIterator[None]:
    task = asyncio.create_task(departed.follow(source))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def leave(store: Store, user_id: str) -> None:
    await store.add_account(User(user_id, user_id), "")
    await store.departures.delete_account(
        user_id,
        name_hash=None,
        free_at=datetime.now(UTC),
        hides=False,
        settled_after=timedelta(hours=1),
    )


def test_listeners_are_told_of_each_user_once() -> None:
    departed, told = Departed(MovableClock(), lifetime=10), list[Collection[str]]()
    departed.listen(told.append)
    departed.add(["ada", "bob"])
    departed.add(["bob", "eve"])
    departed.add(["eve"])

    assert told == [["ada", "bob"], ["eve"]]
    assert "ada" in departed
    assert "zoe" not in departed


def test_a_user_is_forgotten_when_no_token_can_be_good_any_more() -> None:
    clock = MovableClock()
    departed = Departed(clock, lifetime=10)
    departed.add(["ada"])
    clock.advance(10)
    departed.add(["bob"])
    assert "ada" in departed
    clock.advance(31)
    departed.add([])

    assert "ada" not in departed
    assert "bob" in departed


async def test_departures_are_learned_before_and_after_the_start(database: Database) -> None:
    departed = Departed(MovableClock(), lifetime=10)
    async with Store.open(PoolSettings(database.gateway_runtime_dsn)) as store:
        await leave(store, "ada")
        async with following(departed, store.departures):

            async def knows(user_id: str) -> bool:
                return user_id in departed

            await eventually(lambda: knows("ada"))
            await leave(store, "bob")
            await eventually(lambda: knows("bob"))


class Scripted:
    """Departures of one moment, that cannot be read the first time."""

    def __init__(self, count: int) -> None:
        self._all = [Departure(datetime.now(UTC), f"{number:05}") for number in range(count)]
        self._all = [Departure(self._all[0].departed_at, one.user_id) for one in self._all]
        self.calls = 0

    async def list_after(self, last: Departure, *, limit: int) -> list[Departure]:
        self.calls += 1
        if self.calls == 1:
            raise UnavailableError
        key = last.departed_at, last.user_id
        return [one for one in self._all if (one.departed_at, one.user_id) > key][:limit]


async def test_all_of_many_departures_are_read_even_after_a_failure() -> None:
    departed, source = Departed(MovableClock(), lifetime=10), Scripted(2_500)
    async with following(departed, source):

        async def knows_all() -> bool:
            return all(f"{number:05}" in departed for number in range(2_500))

        await eventually(knows_all)
    assert source.calls >= 4
