"""What a fault proxy does to the bytes of a connection."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.fixtures.servers.stores import eventually

from faults.network.proxy import Proxy


class Echo:
    """A server that sends back what it gets, and remembers it."""

    def __init__(self) -> None:
        self.received = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1000):
                self.received += data
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@pytest.fixture
async def echo() -> Echo:
    return Echo()


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[Proxy]:
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    proxy = Proxy(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    await proxy.start()
    yield proxy
    await proxy.stop()
    server.close()


@asynccontextmanager
async def connected(proxy: Proxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def test_bytes_pass_both_ways_and_so_does_the_end(proxy: Proxy) -> None:
    async with connected(proxy) as (reader, writer):
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.write_eof()
        assert await reader.read() == b""


async def test_what_is_held_arrives_after_the_release(proxy: Proxy, echo: Echo) -> None:
    proxy.hold()
    async with connected(proxy) as (reader, writer):
        writer.write(b"hello")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(5), 0.1)
        assert echo.received == b""
        proxy.release()
        assert await reader.readexactly(5) == b"hello"


async def test_held_replies_let_requests_pass(proxy: Proxy, echo: Echo) -> None:
    proxy.hold_replies()
    async with connected(proxy) as (reader, writer):
        writer.write(b"hello")

        async def has_received() -> bool:
            return echo.received == b"hello"

        await eventually(has_received)
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            await reader.read(5)


async def test_late_bytes_are_whole_and_not_early(proxy: Proxy) -> None:
    proxy.delay = 0.05
    async with connected(proxy) as (reader, writer):
        began = time.monotonic()
        for word in (b"one", b"two"):
            writer.write(word)
        assert await reader.readexactly(6) == b"onetwo"
        assert time.monotonic() - began >= 0.1


async def test_a_cut_of_requests_lets_so_many_bytes_through_and_ends_that_connection(
    proxy: Proxy, echo: Echo
) -> None:
    proxy.cut_requests(after=3)
    async with connected(proxy) as (reader, writer):
        writer.write(b"hello")
        assert await reader.read() in {b"", b"hel"}

    async def has_received() -> bool:
        return echo.received == b"hel"

    await eventually(has_received)
    async with connected(proxy) as (reader, writer):
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"


async def test_a_cut_of_replies_lets_requests_through_whole(proxy: Proxy, echo: Echo) -> None:
    proxy.cut_replies(after=3)
    async with connected(proxy) as (reader, writer):
        writer.write(b"hello")
        assert await reader.read() == b"hel"
    assert echo.received == b"hello"


async def test_a_reset_is_seen_as_one(proxy: Proxy) -> None:
    async with connected(proxy) as (reader, writer):
        writer.write(b"hello")
        await reader.readexactly(5)
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            await reader.read(1)


async def test_a_release_forgets_the_cut_that_was_due(proxy: Proxy) -> None:
    proxy.cut_requests(after=0)
    proxy.cut_replies(after=0)
    proxy.release()
    async with connected(proxy) as (reader, writer):
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"


async def test_the_server_can_be_another_one_for_connections_from_now_on(proxy: Proxy) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"other")
        writer.close()

    other = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with connected(proxy) as (reader, writer):
        writer.write(b"hello")
        await reader.readexactly(5)
        proxy.upstream = f"127.0.0.1:{other.sockets[0].getsockname()[1]}"
        writer.write(b"again")
        assert await reader.readexactly(5) == b"again"
    async with connected(proxy) as (reader, _):
        assert await reader.readexactly(5) == b"other"
    other.close()


async def test_a_server_that_is_unavailable_is_a_connection_that_ends(proxy: Proxy) -> None:
    proxy.upstream = "127.0.0.1:1"
    async with connected(proxy) as (reader, _):
        assert await reader.read() == b""
