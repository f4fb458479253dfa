"""A TCP proxy between two parts, to lose what a network can lose.

It forwards bytes as they are, so that TLS passes through it. What is held waits here, like the bytes of a
network that drops packets: it arrives after the release, or never if the connections are reset. While it is
slow, bytes are late but in order.
"""

import asyncio
import socket
import struct
from dataclasses import dataclass, field
from functools import partial
from typing import Final

_HOST: Final = "127.0.0.1"
_CHUNK: Final = 65_536


@dataclass(slots=True)
class _Direction:
    """The bytes that go one way, on every connection."""

    passing: asyncio.Event = field(default_factory=asyncio.Event)
    budget: int | None = None
    """Bytes until a cut, None where none is due."""

    def allow(self, size: int) -> int:
        """Return how many of so many bytes may pass; if it is not all, the cut is over."""
        if self.budget is None:
            return size
        allowed = min(size, self.budget)
        self.budget = self.budget - size if allowed == size else None
        return allowed


class Proxy:
    """Stands between clients and one server, on a port of its own.

    Attributes:
        upstream: The address of the server, as `host:port`; for connections from now on.
        connections: How many connections were accepted so far.
        delay: Seconds by which bytes are late, each way.
    """

    def __init__(self, upstream: str) -> None:
        """Take the address of the server, as `host:port`."""
        self.upstream = upstream
        self.connections = 0
        self.delay = 0.0
        self._server: asyncio.Server | None = None
        self._requests = _Direction()
        self._replies = _Direction()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        if self._server is None:
            raise RuntimeError("the proxy does not listen")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def address(self) -> str:
        """The same as `host:port`."""
        return f"{_HOST}:{self.port}"

    async def start(self) -> None:
        """Listen on a free port."""
        self.release()
        self._server = await asyncio.start_server(self._accept, _HOST, 0)

    async def stop(self) -> None:
        """Reset every connection, and listen no more."""
        if self._server is not None:
            self._server.close()
        self.reset()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hold(self) -> None:
        """Let nothing pass: a black hole, for connections old and new."""
        self._requests.passing.clear()
        self._replies.passing.clear()

    def hold_replies(self) -> None:
        """Let requests pass, but not their replies."""
        self._replies.passing.clear()

    def cut_requests(self, *, after: int) -> None:
        """Close the connection whose requests pass this many bytes from now, and let no byte more through.

        Connections accepted later are whole again.
        """
        self._requests.budget = after

    def cut_replies(self, *, after: int) -> None:
        """Do the same with replies."""
        self._replies.budget = after

    def reset(self) -> None:
        """Reset every connection. What is held is lost."""
        for task in self._tasks:
            task.cancel()

    def release(self) -> None:
        """Let everything pass again and in time, first what was held. No cut is due any more."""
        self.delay = 0.0
        for direction in (self._requests, self._replies):
            direction.budget = None
            direction.passing.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._forward(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(partial(self._end, writer))

    def _end(self, writer: asyncio.StreamWriter, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        writer.close()  # A task that was cancelled before it began has not done so.

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            up_reader, up_writer = await asyncio.open_connection(*self.upstream.rsplit(":", 1))
            writers.append(up_writer)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(reader, up_writer, self._requests))
                pumps.create_task(self._pump(up_reader, writer, self._replies))
        except (OSError, ExceptionGroup):
            pass
        except asyncio.CancelledError:
            for end in writers:
                reset_connection(end)
            raise
        finally:
            for end in writers:
                end.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: _Direction
    ) -> None:
        while data := await reader.read(_CHUNK):
            await direction.passing.wait()
            if self.delay:
                await asyncio.sleep(self.delay)
            allowed = direction.allow(len(data))
            writer.write(data[:allowed])
            await writer.drain()
            if allowed < len(data):
                raise ConnectionAbortedError
        writer.write_eof()


def reset_connection(writer: asyncio.StreamWriter) -> None:
    """Have the other end see a reset, unless the connection is gone already."""
    if writer.transport.is_closing():
        return
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
