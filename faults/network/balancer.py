"""A TCP round robin before servers that are alike, as a Service of Kubernetes stands before its pods.

A new connection goes to the next server whose `/readyz` answered 200 at the last look, and stays with it for
as long as it lives: a server that is not ready any more gets no new ones and loses none. Where no server is
ready, or none takes the connection, it is reset. It looks at no byte of what passes.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Final, NamedTuple

from faults.network.proxy import reset_connection

_CHUNK: Final = 65_536


class Upstream(NamedTuple):
    """One of the servers. Both addresses are `host:port`."""

    address: str
    admin: str
    """Where `/readyz` is asked for."""


class Balancer:
    """Listens on one port of 127.0.0.1, from `start` to `stop`. Servers come and go meanwhile."""

    def __init__(self, port: int = 0, *, interval: float = 0.2, patience: float = 1.0) -> None:
        """Take the port, 0 for one that is free, and the seconds between two looks at a server.

        A server that says nothing for the seconds of `patience`, or takes no connection, is not ready.
        """
        self._port = port
        self._interval = interval
        self._patience = patience
        self._server: asyncio.Server | None = None
        self._looks: dict[Upstream, asyncio.Task[None]] = {}
        self._ready: list[Upstream] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """Where it listens, as `host:port`. It does not change."""
        return f"127.0.0.1:{self._port}"

    @property
    def ready(self) -> tuple[Upstream, ...]:
        """Servers that were ready at the last look, the next one first."""
        return tuple(self._ready)

    async def start(self, upstreams: Iterable[Upstream] = ()) -> None:
        """Listen. Raises OSError if the port cannot be had."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        for upstream in upstreams:
            self.add(upstream)

    async def stop(self) -> None:
        """Close every connection, and listen no more."""
        if self._server is not None:
            self._server.close()
        for upstream in list(self._looks):
            self.remove(upstream)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def add(self, upstream: Upstream) -> None:
        """Send connections to one more server, once it is ready."""
        if upstream not in self._looks:
            self._looks[upstream] = self._begin(self._keep_looking(upstream))

    def remove(self, upstream: Upstream) -> None:
        """Send a server no more connections. Those that it has go on."""
        self._looks.pop(upstream).cancel()
        self._note(upstream, is_ready=False)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _keep_looking(self, upstream: Upstream) -> None:
        while True:
            self._note(upstream, is_ready=await _is_ready(upstream.admin, self._patience))
            await asyncio.sleep(self._interval)

    def _note(self, upstream: Upstream, *, is_ready: bool) -> None:
        if is_ready and upstream not in self._ready:
            self._ready.append(upstream)
        elif not is_ready and upstream in self._ready:
            self._ready.remove(upstream)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._begin(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await self._connect()
        except BaseException as error:
            reset_connection(writer)
            if isinstance(error, OSError):
                return
            raise
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(_pump(reader, up_writer))
                pumps.create_task(_pump(up_reader, writer))
        except* OSError:
            # Whichever end has broken, the other one must not take it for an orderly end.
            reset_connection(writer)
            reset_connection(up_writer)
        finally:
            writer.close()
            up_writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the next server that takes the connection. Raises OSError if there is none."""
        for upstream in self.ready:
            if upstream not in self._ready:  # Another connection was refused by it meanwhile.
                continue
            self._ready.remove(upstream)
            self._ready.append(upstream)
            host, _, port = upstream.address.rpartition(":")
            try:
                async with asyncio.timeout(self._patience):
                    return await asyncio.open_connection(host, int(port))
            except OSError:  # Which a timeout is as well.
                self._note(upstream, is_ready=False)
        raise ConnectionRefusedError


async def _is_ready(admin: str, patience: float) -> bool:
    """Ask a server whether it is ready, on a connection for this question alone."""
    host, _, port = admin.rpartition(":")
    try:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                writer.write(f"GET /readyz HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n".encode())
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    except (OSError, ValueError):  # Unavailable, too slow, or no HTTP.
        return False


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
