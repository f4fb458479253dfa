"""What Redis publishes of one board, received once for all hubs of the board."""

import asyncio
from contextvars import Context
from typing import Protocol

import structlog

from score_service.domain.standings.hint import Hint
from score_service.errors import ProjectionUnavailableError
from score_service.projection.projection import Projection

_log = structlog.get_logger(__name__)


class Receiver(Protocol):
    """What is needed of a hub."""

    def note(self, hint: Hint) -> None:
        """Take in what was applied to the board."""

    def wake(self) -> None:
        """Look at the board: hints may have been lost."""


class Subscription:
    """The subscription to one board, and the hubs that receive its hints."""

    def __init__(self, board_id: str, projection: Projection, pause_seconds: float) -> None:
        """Take for how long to wait before it is tried again where Redis is unavailable."""
        self.hubs: set[Receiver] = set()
        self._board_id = board_id
        self._projection = projection
        self._pause_seconds = pause_seconds
        self._receiving = False
        self._stopped = False

    def add(self, hub: Receiver) -> None:
        """Have a hub receive hints from now on."""
        self.hubs.add(hub)
        if self._receiving:
            hub.wake()  # For what was published after it had looked at the board.

    def start(self) -> asyncio.Task[None]:
        """Receive hints from now on, in a task that `stop` ends."""
        # It serves all watchers, so what it logs belongs to no one call.
        self._task = asyncio.create_task(self._run(), name="subscription", context=Context())
        return self._task

    def stop(self) -> None:
        """End the task. The flag ends its loops also where a library has lost the cancellation.

        A second call does not interrupt the task while it closes its connection.
        """
        if not self._stopped:
            self._stopped = True
            self._task.cancel()

    async def _run(self) -> None:
        while not self._stopped:
            try:
                await self._receive()
                continue  # The channel has moved, and is subscribed to at once where it is now.
            except ProjectionUnavailableError:
                pass  # The hubs look at the board all the same.
            except Exception:  # noqa: BLE001 - Logged whole; without hints the watchers are fed more slowly.
                _log.exception("subscription_failed")
            finally:
                self._receiving = False
            await asyncio.sleep(self._pause_seconds)

    async def _receive(self) -> None:
        async with self._projection.subscribe(self._board_id) as hints:
            self._receiving = True
            for hub in self.hubs:
                hub.wake()
            async for hint in hints:
                for hub in self.hubs:
                    hub.note(hint)
                if self._stopped:
                    return
