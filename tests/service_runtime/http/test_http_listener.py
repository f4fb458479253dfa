"""What every accepted connection has, and how long a client may take to ask."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2 as httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from tests.fixtures.servers.stores import eventually

from service_runtime.http.http_listener import Listener, ListenerSettings, bind, serve
from service_runtime.settings import Address

ANYWHERE = Address("127.0.0.1", 0)


@asynccontextmanager
async def accepted_socket() -> AsyncIterator[socket.socket]:
    """Give the server's end of a connection."""
    settings = ListenerSettings(connections_max=10, stop_seconds=1)
    async with (
        serve(Starlette(), bind(ANYWHERE), settings) as listener,
        httpx.AsyncClient(base_url=f"http://{listener.address}") as client,
    ):
        await client.get("/")
        (protocol,) = listener.server_state.connections
        connection: Any = protocol
        yield connection.transport.get_extra_info("socket")


async def test_the_body_of_an_answer_does_not_wait_for_its_headers_to_be_acknowledged() -> None:
    async with accepted_socket() as accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.skipif(sys.platform != "linux", reason="the option is known on Linux only")
async def test_a_peer_that_never_reads_is_given_up() -> None:
    async with accepted_socket() as accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000


async def welcome(_: Request) -> Response:
    return Response("welcome")


async def tell_client(request: Request) -> Response:
    return Response(request.client.host if request.client else "")


APP = Starlette(
    routes=[Route("/", welcome, methods=["GET", "POST"]), Route("/client", tell_client)],
)
REQUEST = b"GET / HTTP/1.1\r\nHost: laurel\r\n\r\n"


@asynccontextmanager
async def listening(header_seconds: float) -> AsyncIterator[Listener]:
    settings = ListenerSettings(connections_max=10, stop_seconds=1, header_seconds=header_seconds)
    async with serve(APP, bind(ANYWHERE), settings) as listener:
        yield listener


async def connect(listener: Listener) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(listener.address.host, listener.address.port)


async def answered(reader: asyncio.StreamReader) -> bool:
    """Read one answer to its end."""
    headers = await reader.readuntil(b"\r\n\r\n")
    return headers.startswith(b"HTTP/1.1 200") and await reader.readexactly(7) == b"welcome"


async def drip(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send a byte at a time, for ever, until the connection is closed."""
    with suppress(ConnectionError):
        while True:
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(0.02)


async def drip_to_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send a byte at a time until the connection is closed, and check that no more was answered."""
    dripping = asyncio.create_task(drip(writer, data))
    async with asyncio.timeout(20):
        with suppress(ConnectionError):
            assert await reader.read() == b""
    dripping.cancel()
    writer.close()


BEGINNINGS = {
    "nothing": (b"", b""),
    "headers that drip": (b"GET / HTTP/1.1\r\nX: ", b"x"),
}


@pytest.mark.parametrize("name", BEGINNINGS)
async def test_a_connection_on_which_no_whole_headers_come_is_closed(name: str) -> None:
    beginning, byte = BEGINNINGS[name]
    async with listening(header_seconds=0.3) as listener:
        reader, writer = await connect(listener)
        writer.write(beginning)
        await drip_to_the_end(reader, writer, byte)


async def test_a_second_request_that_drips_is_not_waited_for_either() -> None:
    async with listening(header_seconds=0.3) as listener:
        reader, writer = await connect(listener)
        writer.write(REQUEST)
        assert await answered(reader)
        writer.write(BEGINNINGS["headers that drip"][0])
        await drip_to_the_end(reader, writer, b"x")


async def test_a_body_that_drips_on_after_the_answer_is_not_waited_for() -> None:
    async with listening(header_seconds=0.3) as listener:
        reader, writer = await connect(listener)
        writer.write(b"POST / HTTP/1.1\r\nHost: laurel\r\nContent-Length: 1000000\r\n\r\n")
        assert await answered(reader)
        await drip_to_the_end(reader, writer, b"x")


async def test_a_connection_between_two_requests_may_be_silent_for_longer() -> None:
    async with listening(header_seconds=0.2) as listener:
        reader, writer = await connect(listener)
        for _ in range(3):
            writer.write(REQUEST)
            assert await answered(reader)
            await asyncio.sleep(0.4)  # Twice as long as headers may take.
        writer.close()


async def test_a_connection_waits_for_its_next_request_as_long_as_is_set() -> None:
    settings = ListenerSettings(connections_max=10, stop_seconds=1, keep_alive_seconds=1)
    async with serve(APP, bind(ANYWHERE), settings) as listener, asyncio.timeout(20):
        reader, writer = await connect(listener)
        writer.write(REQUEST)
        assert await answered(reader)
        assert await reader.read() == b""
        writer.close()


async def read_status(reader: asyncio.StreamReader) -> bytes:
    """Read the headers of an answer and return its status."""
    return (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1]


def count_segments(connection: socket.socket) -> int:
    """Return how many segments with data were sent: `tcpi_data_segs_out` of linux/tcp.h."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)
    return int.from_bytes(info[156:160], sys.byteorder)


@pytest.mark.skipif(sys.platform != "linux", reason="the option is known on Linux only")
async def test_the_headers_and_the_body_of_an_answer_are_one_segment() -> None:
    async with listening(header_seconds=20) as listener, asyncio.timeout(20):
        reader, writer = await connect(listener)
        for number in range(1, 4):
            writer.write(REQUEST)
            assert await answered(reader)
            (protocol,) = listener.server_state.connections
            accepted: Any = protocol
            assert count_segments(accepted.transport.get_extra_info("socket")) == number
        writer.close()


async def test_parts_of_an_answer_are_sent_when_they_are_there_and_large_ones_whole() -> None:
    going_on = asyncio.Event()
    large = bytes(300_000)

    async def stream(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await going_on.wait()
        await send({"type": "http.response.body", "body": large, "more_body": False})

    settings = ListenerSettings(connections_max=10, stop_seconds=1)
    async with serve(stream, bind(ANYWHERE), settings) as listener, asyncio.timeout(20):
        reader, writer = await connect(listener)
        writer.write(REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert (await reader.readuntil(b"first\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        going_on.set()
        assert await reader.read() == b"%x\r\n%s\r\n0\r\n\r\n" % (len(large), large)
        writer.close()


async def test_requests_that_come_at_once_are_answered_in_their_order() -> None:
    posts = [b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % n + bytes(n) for n in range(300)]
    async with listening(header_seconds=20) as listener, asyncio.timeout(20):
        reader, writer = await connect(listener)
        writer.write(REQUEST + b"".join(posts))
        writer.write(b"GET /client HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        for _ in range(301):
            assert await answered(reader)
        assert await read_status(reader) == b"200"
        assert await reader.read() == b"127.0.0.1"
        writer.close()


async def test_few_requests_of_a_connection_are_parsed_ahead() -> None:
    going_on = asyncio.Event()

    async def wait(request: Request) -> Response:
        await request.body()
        await going_on.wait()
        return Response("welcome")

    settings = ListenerSettings(connections_max=10, stop_seconds=1)
    app = Starlette(routes=[Route("/", wait)])
    async with serve(app, bind(ANYWHERE), settings) as listener, asyncio.timeout(20):
        reader, writer = await connect(listener)
        writer.write(REQUEST * 20_000)
        connections: Any = listener.server_state.connections

        async def is_held_back() -> bool:
            return any(protocol.flow.read_paused for protocol in connections)

        await eventually(is_held_back)
        assert all(len(protocol.pipeline) < 200 for protocol in connections)
        going_on.set()
        for _ in range(20_000):
            assert await answered(reader)
        writer.close()


async def test_what_follows_a_request_and_is_none_ends_the_connection_after_the_answer() -> None:
    async with listening(header_seconds=20) as listener, asyncio.timeout(20):
        reader, writer = await connect(listener)
        writer.write(REQUEST + b"\x00\x01")
        assert await answered(reader)
        assert await reader.read() == b""
        writer.close()


NO_REQUESTS = (
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    b"GET /\r\n\r\n",
    b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\nHost: a\n\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x00\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x7f\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n1",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
)


@pytest.mark.parametrize("raw", NO_REQUESTS)
async def test_what_could_be_read_in_two_ways_is_no_request(raw: bytes) -> None:
    async with listening(header_seconds=20) as listener, asyncio.timeout(20):
        reader, writer = await connect(listener)
        writer.write(raw)
        assert await read_status(reader) == b"400"
        writer.close()


async def test_headers_that_are_never_whole_are_kept_up_to_a_size() -> None:
    async with listening(header_seconds=20) as listener, asyncio.timeout(20):
        reader, writer = await connect(listener)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        pouring = asyncio.create_task(drip(writer, b"x" * 1024))
        assert await read_status(reader) == b"400"
        pouring.cancel()
        writer.close()


async def test_an_offer_of_another_protocol_is_declined_on_a_connection_that_ends() -> None:
    async with listening(header_seconds=20) as listener, asyncio.timeout(20):
        reader, writer = await connect(listener)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
        assert await answered(reader)
        assert await reader.read() == b""
        writer.close()


EVERYWHERE = Address("::", 0)
HOSTS = ["127.0.0.1", "[::1]"]


async def ask_for_client(port: int, host: str, *forwarded: str) -> str:
    """Ask a listener on both families whom it takes the client for."""
    headers = [("X-Forwarded-For", ", ".join(forwarded))] if forwarded else []
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(f"http://{host}:{port}/client", headers=headers)).text


@pytest.mark.parametrize("host", HOSTS)
async def test_the_unspecified_address_of_ipv6_takes_both_families(host: str) -> None:
    settings = ListenerSettings(connections_max=10, stop_seconds=1)
    async with serve(APP, bind(EVERYWHERE), settings) as listener:
        assert await ask_for_client(listener.address.port, host) in {"::ffff:127.0.0.1", "::1"}


@pytest.mark.parametrize("trusted", ["127.0.0.1", "127.0.0.0/8", "10.0.0.0/8,127.0.0.1"])
async def test_a_trusted_proxy_is_one_also_where_both_families_are_taken(trusted: str) -> None:
    settings = ListenerSettings(connections_max=10, stop_seconds=1, trusted_proxies=(*trusted.split(","),))
    async with serve(APP, bind(EVERYWHERE), settings) as listener:
        port = listener.address.port
        assert await ask_for_client(port, "127.0.0.1", "203.0.113.9") == "203.0.113.9"
        # A proxy that takes both families itself names the one before it so.
        assert await ask_for_client(port, "127.0.0.1", "203.0.113.9", "::ffff:127.0.0.1") == "203.0.113.9"
        assert await ask_for_client(port, "[::1]", "203.0.113.9") == "::1"


async def test_no_other_peer_is_a_trusted_proxy() -> None:
    for trusted in ((), ("10.0.0.0/8", "2001:db8::/32"), ("::1",)):
        settings = ListenerSettings(connections_max=10, stop_seconds=1, trusted_proxies=trusted)
        async with serve(APP, bind(EVERYWHERE), settings) as listener:
            client = await ask_for_client(listener.address.port, "127.0.0.1", "203.0.113.9")
            assert client == "::ffff:127.0.0.1"
