"""One open WebSocket or event stream, and the time at which it ends.

Every connection ends at a time that can be moved, for the reason that goes with it. To end it sooner,
the time is moved to now, so there is one way in which a connection is ended from outside.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import ParamSpec

import structlog

from action_gateway.streams.endings import EndedError, Ending
from service_runtime.lifecycle import end_tasks

_P = ParamSpec("_P")
_log = structlog.get_logger(__name__)


class Connection:
    """One open WebSocket or event stream."""

    def __init__(self) -> None:
        self.ending = Ending.FAULT
        self.limit = asyncio.timeout(None)
        self._restarting = False

    def end_after(self, seconds: float, ending: Ending) -> None:
        """Move the end to some seconds from now. Once a restart is set, it can only come sooner."""
        when = asyncio.get_running_loop().time() + seconds
        if self.limit.expired() or (self._restarting and when > (self.limit.when() or when)):
            return
        self.ending = ending
        self.limit.reschedule(when)

    def end(self, ending: Ending) -> None:
        """End the connection now, at whatever it waits for."""
        self.end_after(0.0, ending)

    def restart_after(self, seconds: float) -> None:
        """End the connection for a restart some seconds from now."""
        self.end_after(seconds, Ending.RESTARTING)
        self._restarting = True


@asynccontextmanager
async def until_ended(connection: Connection) -> AsyncIterator[None]:
    """Run the block until it is time for the connection to end, which raises EndedError."""
    try:
        async with connection.limit:
            yield
    except TimeoutError:
        if connection.limit.expired():
            raise EndedError(connection.ending) from None
        raise


@asynccontextmanager
async def beside(
    connection: Connection, work: Callable[_P, Awaitable[None]], *args: _P.args, **kwargs: _P.kwargs
) -> AsyncIterator[None]:
    """Run some work beside the block. Its failure ends the connection; the end of the block ends the work."""

    async def guard() -> None:
        try:
            await work(*args, **kwargs)
        except EndedError as ended:
            connection.end(ended.ending)
        except Exception:  # noqa: BLE001 - logged whole; the client is told that the server failed
            _log.exception("connection_failed")
            connection.end(Ending.FAULT)

    task = asyncio.create_task(guard())
    try:
        yield
    finally:
        await end_tasks(task)
