"""Streams that the service ends: at a stop, with a certificate, with a connection."""

import asyncio

import pytest
from tests.fixtures.clocks import SetClock

from score_service.access.identity import Peer
from score_service.errors import (
    CertificateExpiredError,
    ConnectionAgedError,
    ScoreServiceError,
    ShuttingDownError,
)
from score_service.grpc_api.connections import Connections
from score_service.grpc_api.open_streams import OpenStreams

ADDRESS = "ipv4:127.0.0.1:5000"
LONG = 3600.0
LASTING, ENDING = Peer("spiffe://a/lasting", 1000.0), Peer("spiffe://a/ending", 100.0)


async def start(streams: OpenStreams, peer: Peer, address: str = ADDRESS) -> asyncio.Task[None]:
    """Open a stream that lasts until it is ended."""
    is_open = asyncio.Event()

    async def run() -> None:
        async with streams.open(peer, address):
            is_open.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(run())
    opened = asyncio.create_task(is_open.wait())
    await asyncio.wait({task, opened}, return_when=asyncio.FIRST_COMPLETED)
    opened.cancel()
    return task


async def error_of(task: asyncio.Task[None]) -> type[ScoreServiceError]:
    async with asyncio.timeout(20):
        with pytest.raises(ScoreServiceError) as caught:
            await task
    return caught.type


async def test_a_stop_ends_all_streams_and_those_that_come_later() -> None:
    streams = OpenStreams(Connections(LONG), SetClock(50.0))
    first = await start(streams, LASTING)
    streams.end_all()
    assert await error_of(first) is ShuttingDownError
    assert await error_of(await start(streams, LASTING)) is ShuttingDownError


async def test_a_stream_ends_once_its_certificate_has_expired_and_no_other() -> None:
    clock = SetClock(50.0)
    streams = OpenStreams(Connections(LONG), clock)
    ending, lasting = await start(streams, ENDING), await start(streams, LASTING)
    clock.now = ENDING.not_after
    streams.end_expired()
    await asyncio.sleep(0)
    assert not ending.done()

    clock.now = ENDING.not_after + 1
    streams.end_expired()
    assert await error_of(ending) is CertificateExpiredError
    assert not lasting.done()
    streams.end_all()
    assert await error_of(lasting) is ShuttingDownError


async def test_certificates_are_looked_at_at_intervals() -> None:
    clock = SetClock(50.0)
    streams = OpenStreams(Connections(LONG), clock)
    ending = await start(streams, ENDING)
    watching = asyncio.create_task(streams.watch(0.001))
    clock.now = ENDING.not_after + 1
    assert await error_of(ending) is CertificateExpiredError
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching


async def test_a_stream_ends_with_its_connection_however_late_it_was_opened() -> None:
    connections = Connections(LONG, clock=lambda: asyncio.get_running_loop().time() - LONG)
    connections.note(ADDRESS)
    streams = OpenStreams(connections, SetClock(50.0))
    assert await error_of(await start(streams, LASTING)) is ConnectionAgedError


async def test_a_stream_after_the_end_of_a_connection_is_on_another_one_from_the_same_address() -> None:
    connections = Connections(LONG)
    streams = OpenStreams(connections, SetClock(50.0))
    with pytest.MonkeyPatch.context() as earlier:
        earlier.setattr(connections, "_clock", lambda: asyncio.get_running_loop().time() - LONG)
        assert await error_of(await start(streams, LASTING)) is ConnectionAgedError
    lasting = await start(streams, LASTING)
    streams.end_all()
    assert await error_of(lasting) is ShuttingDownError


async def test_a_connection_that_is_gone_is_forgotten() -> None:
    clock = SetClock(0.0)
    connections = Connections(LONG, clock=clock)
    connections.note(ADDRESS)
    clock.now = LONG
    OpenStreams(connections, SetClock(50.0)).end_expired()
    assert len(connections) == 0


class Slow:
    """A stream whose handler has been told to end, and is not done with it yet."""

    def __init__(self, streams: OpenStreams, peer: Peer) -> None:
        self.told, self.done = asyncio.Event(), asyncio.Event()
        self.task = asyncio.create_task(self._run(streams, peer))

    async def _run(self, streams: OpenStreams, peer: Peer) -> None:
        async with streams.open(peer, ADDRESS):
            try:
                await asyncio.Event().wait()
            finally:
                self.told.set()
                await self.done.wait()

    async def error(self) -> type[ScoreServiceError]:
        """Let the handler be done, and return how the stream ends."""
        self.done.set()
        return await error_of(self.task)


async def test_a_stop_ends_all_streams_while_one_of_them_is_still_ending() -> None:
    streams = OpenStreams(Connections(0.05), SetClock(50.0))
    slow = Slow(streams, LASTING)
    await slow.told.wait()
    lasting = await start(streams, LASTING, "ipv4:127.0.0.1:5001")
    streams.end_all()
    assert await error_of(lasting) is ShuttingDownError
    assert await slow.error() is ConnectionAgedError


async def test_certificates_are_looked_at_while_a_stream_is_still_ending() -> None:
    clock = SetClock(ENDING.not_after + 1)
    streams = OpenStreams(Connections(LONG), clock)
    slow = Slow(streams, ENDING)
    await asyncio.sleep(0)
    streams.end_expired()
    streams.end_expired()
    await slow.told.wait()
    streams.end_expired()
    streams.end_all()
    assert await slow.error() is CertificateExpiredError


async def test_a_timeout_of_the_handler_itself_is_passed_on() -> None:
    streams = OpenStreams(Connections(LONG), SetClock(50.0))
    with pytest.raises(TimeoutError):
        async with streams.open(LASTING, ADDRESS):
            raise TimeoutError
