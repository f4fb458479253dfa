"""How many connections there may be, and how each of them ends."""

import asyncio
from collections.abc import AsyncIterator, Container
from contextlib import AsyncExitStack

import pytest
from prometheus_client import CollectorRegistry

from action_gateway.errors import UnauthenticatedError
from action_gateway.streams.connection import Connection, beside
from action_gateway.streams.connections import ConnectionMetrics, Connections, Kind
from action_gateway.streams.endings import EndedError, Ending


class Counted(Connections):
    """Connections, with a look at what was counted."""

    def __init__(self, *, limit: int = 100, limit_per_user: int = 10, departed: Container[str] = ()) -> None:
        self.registry = CollectorRegistry()
        super().__init__(
            ConnectionMetrics(self.registry), limit=limit, limit_per_user=limit_per_user, departed=departed
        )

    def open_now(self, kind: Kind = "websocket") -> float:
        return self.registry.get_sample_value("gateway_sockets", {"kind": kind}) or 0.0

    def evicted(self, reason: str, kind: Kind = "websocket") -> float:
        labels = {"kind": kind, "reason": reason}
        count = self.registry.get_sample_value("gateway_socket_evictions_total", labels)
        assert (count is None) == (reason == "gone"), "what may be counted counts from zero"
        return count or 0.0

    async def serve(self, opened: "asyncio.Queue[Connection] | None" = None) -> Ending:
        """Hold a connection until it ends, and return the reason."""
        try:
            async with self.hold("websocket") as connection:
                if opened:
                    opened.put_nowait(connection)
                await asyncio.Event().wait()
        except EndedError as ended:
            return ended.ending
        raise AssertionError("a connection ended without a reason")


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def rejected(stack: AsyncExitStack, connections: Connections) -> Ending:
    with pytest.raises(EndedError) as caught:
        await stack.enter_async_context(connections.hold("websocket"))
    return caught.value.ending


async def test_open_connections_are_counted_by_kind_until_they_end() -> None:
    connections = Counted()
    async with connections.hold("websocket"), connections.hold("sse"):
        assert (connections.open_now("websocket"), connections.open_now("sse")) == (1, 1)
    assert (connections.open_now("websocket"), connections.open_now("sse")) == (0, 0)


async def test_the_number_of_open_connections_is_exported_before_the_first_one() -> None:
    registry = Counted().registry
    for kind in ("websocket", "sse"):
        assert registry.get_sample_value("gateway_sockets", {"kind": kind}) == 0


async def test_a_connection_above_the_limit_is_rejected_until_another_one_ends(
    stack: AsyncExitStack,
) -> None:
    connections = Counted(limit=2)
    await stack.enter_async_context(connections.hold("websocket"))
    async with connections.hold("websocket"):
        assert await rejected(stack, connections) is Ending.OVERLOADED
    await stack.enter_async_context(connections.hold("websocket"))
    assert connections.evicted("overloaded") == 1


async def test_the_connections_of_one_user_are_bounded_without_affecting_others() -> None:
    connections = Counted(limit_per_user=1)
    with connections.admit(Connection(), "ada"), connections.admit(Connection(), "bob"):
        with pytest.raises(EndedError) as caught, connections.admit(Connection(), "ada"):
            pass
        assert caught.value.ending is Ending.TOO_MANY_OF_USER
    with connections.admit(Connection(), "ada"):
        pass


async def test_a_connection_ends_when_its_time_is_over_with_the_reason_set_last() -> None:
    connections = Counted()
    opened: asyncio.Queue[Connection] = asyncio.Queue()
    serving = asyncio.create_task(connections.serve(opened))
    connection = await opened.get()
    connection.end_after(3600, Ending.AUTH_TIMEOUT)
    connection.end_after(-5, Ending.UNAUTHENTICATED)
    assert await serving is Ending.UNAUTHENTICATED
    assert (connections.open_now(), connections.evicted("unauthenticated")) == (0, 1)


async def test_the_end_can_be_postponed() -> None:
    connections = Counted()
    opened: asyncio.Queue[Connection] = asyncio.Queue()
    serving = asyncio.create_task(connections.serve(opened))
    connection = await opened.get()
    connection.end_after(0.01, Ending.AUTH_TIMEOUT)
    connection.end_after(3600, Ending.UNAUTHENTICATED)
    done, _ = await asyncio.wait([serving], timeout=0.05)
    assert not done
    connection.end(Ending.TOO_SLOW)
    assert await serving is Ending.TOO_SLOW


async def test_a_client_that_disconnects_is_not_counted_as_evicted() -> None:
    connections = Counted()
    opened: asyncio.Queue[Connection] = asyncio.Queue()
    serving = asyncio.create_task(connections.serve(opened))
    (await opened.get()).end(Ending.GONE)
    assert await serving is Ending.GONE
    assert connections.evicted("gone") == 0


async def test_an_invalid_token_in_the_block_ends_the_connection_as_unauthenticated() -> None:
    connections = Counted()
    with pytest.raises(EndedError) as caught:
        async with connections.hold("websocket"):
            raise UnauthenticatedError
    assert caught.value.ending is Ending.UNAUTHENTICATED


async def test_a_timeout_of_the_work_itself_is_not_mistaken_for_the_end_of_the_connection() -> None:
    with pytest.raises(TimeoutError):
        async with Counted().hold("websocket"):
            raise TimeoutError


async def test_closing_all_ends_every_connection_as_restarting_and_rejects_new_ones(
    stack: AsyncExitStack,
) -> None:
    connections = Counted()
    serving = [asyncio.create_task(connections.serve()) for _ in range(50)]
    await asyncio.sleep(0)
    await connections.close_all(within=0.2)
    assert all(task.done() for task in serving)
    assert {await task for task in serving} == {Ending.RESTARTING}
    assert await rejected(stack, connections) is Ending.RESTARTING


async def test_connections_are_closed_one_after_another_not_all_at_once() -> None:
    connections = Counted()
    serving = [asyncio.create_task(connections.serve()) for _ in range(100)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(connections.close_all(within=1))
    await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
    assert connections.open_now() > 50
    await closing
    assert connections.open_now() == 0


async def test_closing_all_waits_no_longer_than_it_may() -> None:
    connections = Counted()
    release = asyncio.Event()

    async def hang() -> None:
        try:
            async with connections.hold("websocket"):
                await asyncio.Event().wait()
        except EndedError:
            return

    async def cling() -> None:
        async with connections.hold("websocket"):
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue

    tasks = [asyncio.create_task(hang()), asyncio.create_task(cling())]
    await asyncio.sleep(0)
    await connections.close_all(within=0.05)
    assert tasks[0].done()
    assert not tasks[1].done()
    release.set()
    await asyncio.wait(tasks)


async def test_a_token_renewed_during_a_restart_does_not_keep_the_connection() -> None:
    connections = Counted()
    opened: asyncio.Queue[Connection] = asyncio.Queue()
    serving = asyncio.create_task(connections.serve(opened))
    connection = await opened.get()
    connection.restart_after(0.01)
    connection.end_after(3600, Ending.UNAUTHENTICATED)
    assert await serving is Ending.RESTARTING


async def test_a_client_that_disconnects_during_a_restart_ends_at_once() -> None:
    connections = Counted()
    opened: asyncio.Queue[Connection] = asyncio.Queue()
    serving = asyncio.create_task(connections.serve(opened))
    connection = await opened.get()
    connection.restart_after(3600)
    connection.end(Ending.GONE)
    assert await serving is Ending.GONE


async def test_closing_all_returns_at_once_where_nothing_is_open() -> None:
    async with asyncio.timeout(60):
        await Counted().close_all(within=3600)


async def test_work_beside_a_connection_is_cancelled_when_the_connection_ends() -> None:
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with Counted().hold("websocket") as connection, beside(connection, work):
        await asyncio.sleep(0)
    assert cancelled.is_set()


async def test_work_beside_a_connection_that_has_to_end_ends_it() -> None:
    async def work() -> None:
        raise EndedError(Ending.TOO_SLOW)

    with pytest.raises(EndedError) as caught:
        async with Counted().hold("websocket") as connection, beside(connection, work):
            await asyncio.Event().wait()
    assert caught.value.ending is Ending.TOO_SLOW


async def test_failing_work_beside_a_connection_ends_it_without_details() -> None:
    async def work() -> None:
        raise RuntimeError("a detail")

    with pytest.raises(EndedError) as caught:
        async with Counted().hold("websocket") as connection, beside(connection, work):
            await asyncio.Event().wait()
    assert caught.value.ending is Ending.FAULT
    assert "a detail" not in str(caught.value)


def test_the_close_codes_are_those_of_the_contract() -> None:
    assert {ending.name: ending.code for ending in Ending} == {
        "GONE": 1000,
        "UNAUTHENTICATED": 4401,
        "FOREIGN_ORIGIN": 4403,
        "PERIOD_UNKNOWN": 4404,
        "AUTH_TIMEOUT": 4408,
        "PROTOCOL": 1008,
        "TOO_MANY_MESSAGES": 1008,
        "FAULT": 1011,
        "RESTARTING": 1012,
        "OVERLOADED": 1013,
        "TOO_MANY_OF_USER": 1013,
        "TOO_SLOW": 1013,
        "UNAVAILABLE": 1013,
    }


def test_a_reason_fits_into_a_close_frame() -> None:
    assert all(len(ending.reason.encode()) <= 123 for ending in Ending)


async def test_all_connections_of_a_user_who_has_left_end_and_no_other() -> None:
    departed: list[str] = []
    connections = Counted(departed=departed)
    ada, bob = Connection(), Connection()
    with connections.admit(ada, "ada"), connections.admit(bob, "bob"):
        async with ada.limit, bob.limit:
            connections.end_all_of(["ada", "eve"])
            assert ada.limit.when() is not None
            assert bob.limit.when() is None
            ada.limit.reschedule(None)
    departed.append("ada")
    with pytest.raises(EndedError) as caught, connections.admit(ada, "ada"):
        pass
    assert caught.value.ending is Ending.UNAUTHENTICATED
