"""What a test in another language asks of the servers and proxies that a fixture of this one runs.

It connects to a port of 127.0.0.1 and sends a line of JSON for each thing to do. For each it gets an object
with `result`, or with `fault` if it cannot be done.
"""

import asyncio
import json
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Self

Action = Callable[..., Awaitable[Any]]

_LONGEST_LINE: Final = 1 << 26


class Control:
    """Listens, until the end of its `async with` block."""

    def __init__(self, actions: Mapping[str, Action]) -> None:
        """Take what can be done, by name. A line's `do` is that name, and the rest of it the arguments."""
        self._actions = actions
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        if self._server is None:
            raise RuntimeError("the control does not listen")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_LONGEST_LINE)
        return self

    async def __aexit__(self, *_exception: object) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._do(json.loads(line))).encode() + b"\n")
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _do(self, asked: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"result": await self._actions[asked.pop("do")](**asked)}
        except Exception:  # noqa: BLE001 - the test that asked for it fails
            return {"fault": traceback.format_exc()}
