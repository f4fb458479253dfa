"""Connections go round the servers that are ready, and stay where they are."""

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeAlias

import pytest
from tests.fixtures.servers.stores import eventually

from faults.network.balancer import Balancer, Upstream


class Server:
    """Sends its name to each client, echoes what it receives, and reports whether it is ready."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_ready = True
        self.is_mute = False
        self.upstream = Upstream("", "")
        self._writers: list[asyncio.StreamWriter] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Server"]:
        public = await asyncio.start_server(self._greet, "127.0.0.1", 0)
        admin = await asyncio.start_server(self._tell, "127.0.0.1", 0)
        addresses = [server.sockets[0].getsockname() for server in (public, admin)]
        self.upstream = Upstream(*(f"{host}:{port}" for host, port in addresses))
        try:
            yield self
        finally:
            public.close()
            admin.close()
            self.reset()

    def reset(self) -> None:
        """Reset every connection."""
        for writer in self._writers:
            connection: socket.socket = writer.get_extra_info("socket")
            if connection.fileno() >= 0:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        writer.write(f"{self.name}\n".encode())
        while line := await reader.readline():
            writer.write(line)
        writer.write(b"bye\n")
        writer.close()

    async def _tell(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        if not self.is_mute:
            status = "200 OK" if self.is_ready else "503 Service Unavailable"
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
            writer.close()


class Client:
    """A connection through the balancer, and who answered."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: str) -> None:
        self.reader, self.writer, self.server = reader, writer, server

    async def echo(self, text: str) -> str:
        self.writer.write(f"{text}\n".encode())
        return (await self.reader.readline()).decode().rstrip()


Connect: TypeAlias = Callable[[Balancer], Awaitable[Client]]


@pytest.fixture
async def servers() -> AsyncIterator[list[Server]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Server(name).running()) for name in ("one", "two")]


@pytest.fixture
async def balancer(servers: list[Server]) -> AsyncIterator[Balancer]:
    balancer = Balancer(interval=0.01, patience=60)
    await balancer.start(server.upstream for server in servers)
    await eventually(ready(balancer, 2))
    yield balancer
    await balancer.stop()


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Return a function that connects, and returns who answers."""
    writers: list[asyncio.StreamWriter] = []

    async def open_connection(balancer: Balancer) -> Client:
        host, _, port = balancer.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writers.append(writer)
        return Client(reader, writer, (await reader.readline()).decode().rstrip())

    yield open_connection
    for writer in writers:
        writer.close()


def ready(balancer: Balancer, count: int) -> Callable[[], Awaitable[bool]]:
    async def is_so() -> bool:
        return len(balancer.ready) == count

    return is_so


async def test_connections_go_round(balancer: Balancer, connect: Connect) -> None:
    clients = [await connect(balancer) for _ in range(6)]

    assert Counter(client.server for client in clients) == {"one": 3, "two": 3}
    assert [await client.echo("a") for client in clients] == ["a"] * 6


async def test_what_a_client_has_to_say_ends_before_the_answer_does(
    balancer: Balancer, connect: Connect
) -> None:
    client = await connect(balancer)
    client.writer.write(b"last\n")
    client.writer.write_eof()

    assert await client.reader.read() == b"last\nbye\n"


async def test_a_server_that_is_not_ready_gets_no_connection_and_keeps_those_it_has(
    balancer: Balancer, servers: list[Server], connect: Connect
) -> None:
    before = [await connect(balancer) for _ in range(2)]
    servers[0].is_ready = False
    await eventually(ready(balancer, 1))
    after = [await connect(balancer) for _ in range(4)]

    assert {client.server for client in after} == {"two"}
    assert [await client.echo("still here") for client in before] == ["still here"] * 2
    servers[0].is_ready = True
    await eventually(ready(balancer, 2))
    assert {(await connect(balancer)).server for _ in range(2)} == {"one", "two"}


async def test_a_server_that_does_not_answer_is_not_ready(servers: list[Server], connect: Connect) -> None:
    balancer = Balancer(interval=0.01, patience=0.5)
    await balancer.start(server.upstream for server in servers)
    await eventually(ready(balancer, 2))
    servers[1].is_mute = True

    async def all_go_to_the_other() -> bool:
        try:
            return {(await connect(balancer)).server for _ in range(3)} == {"one"}
        except ConnectionResetError:  # On a busy machine this one may be too slow for a while, too.
            return False

    await eventually(all_go_to_the_other)
    await balancer.stop()


async def test_without_a_server_that_is_ready_a_connection_is_reset(
    balancer: Balancer, servers: list[Server], connect: Connect
) -> None:
    for server in servers:
        balancer.remove(server.upstream)

    with pytest.raises(ConnectionResetError):
        await connect(balancer)


async def test_a_server_that_takes_no_connection_is_passed_by(
    servers: list[Server], connect: Connect
) -> None:
    balancer = Balancer(interval=60, patience=60)
    nobody = Upstream("127.0.0.1:1", servers[0].upstream.admin)
    await balancer.start([nobody, servers[0].upstream])
    await eventually(ready(balancer, 2))

    assert {(await connect(balancer)).server for _ in range(3)} == {"one"}
    assert balancer.ready == (servers[0].upstream,)
    await balancer.stop()


async def test_servers_come_and_go_on_the_same_port(
    balancer: Balancer, servers: list[Server], connect: Connect
) -> None:
    address = balancer.address
    client = await connect(balancer)
    for server in servers:
        balancer.remove(server.upstream)
    async with Server("three").running() as third:
        balancer.add(third.upstream)
        await eventually(ready(balancer, 1))

        assert (await connect(balancer)).server == "three"
        assert balancer.address == address
        assert await client.echo("a") == "a"


async def test_a_connection_that_breaks_is_broken_for_the_client_too(
    balancer: Balancer, servers: list[Server], connect: Connect
) -> None:
    clients = [await connect(balancer) for _ in range(2)]
    for server in servers:
        server.reset()

    for client in clients:
        with pytest.raises(ConnectionResetError):
            await client.reader.read()
