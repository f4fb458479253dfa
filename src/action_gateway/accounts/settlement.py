"""Settling departures: what cannot be in the transaction in which an account is deleted.

The user is hidden on every board, where that is wanted, and once more when nothing that the user had begun
can still be under way. Each step may be repeated, by any process, so nothing is lost where one ends early.
"""

import asyncio
import time
from datetime import timedelta
from typing import Final, Protocol

import structlog

from action_gateway.accounts.accounts import DeletionRules
from action_gateway.errors import UnavailableError
from action_gateway.store.departures import DepartureTask
from action_gateway.store.store import Store
from score_client.errors import NotFoundError, ScoreClientError
from score_client.types import Visibility, VisibilityResult
from service_runtime.telemetry.throttle import Throttle

_REASON: Final = "The account was deleted."
_BATCH: Final = 20
_PAUSE_SECONDS: Final = 1.0
_LINES_A_SECOND: Final = 1
_RETRY_AFTER: Final = timedelta(seconds=30)

_log = structlog.get_logger(__name__)


class VisibilitySetter(Protocol):
    """What is needed of `ScoreClient`."""

    async def set_user_visibility(
        self, *, board_id: str, user_id: str, visibility: Visibility, reason: str
    ) -> VisibilityResult:
        """Set who may see a user on a board."""


class Settlement:
    """Does what is left to be done about departures."""

    def __init__(
        self,
        store: Store,
        visibilities: VisibilitySetter,
        rules: DeletionRules,
        *,
        board_id: str,
        retry_after: timedelta = _RETRY_AFTER,
    ) -> None:
        """Take the board that actions without one pay to, and when to try again what has failed."""
        self._store = store
        self._visibilities = visibilities
        self._settled_after = rules.settled_after
        self._board_id = board_id
        self._retry_after = retry_after
        self._lines = Throttle(_LINES_A_SECOND, time.monotonic)

    async def run(self, pause_seconds: float = _PAUSE_SECONDS) -> None:
        """Settle departures as they come, for ever."""
        while True:
            try:
                while await self.settle_some() == _BATCH:
                    pass
            except UnavailableError:
                _log.debug("settlement_postponed")
            except Exception:  # noqa: BLE001 - what cannot be done now must not end the rest
                _log.exception("settlement_failed")
            await asyncio.sleep(pause_seconds)

    async def settle_some(self) -> int:
        """Take some departures on; return how many. Raises UnavailableError."""
        tasks = await self._store.departures.claim(
            pause=self._retry_after, settled_after=self._settled_after, limit=_BATCH
        )
        for task in tasks:
            try:
                await self._settle(task)
            except ScoreClientError as error:
                self._note_failure(task, error)
        return len(tasks)

    def _note_failure(self, task: DepartureTask, error: ScoreClientError) -> None:
        if (left_out := self._lines.let_through()) is not None:
            _log.warning("departure_not_hidden", user_id=task.user_id, reason=error.reason, left_out=left_out)

    async def _settle(self, task: DepartureTask) -> None:
        if task.hides:
            await self._hide(task.user_id)
        if task.settled:
            await self._store.departures.finish(task.user_id)
        else:
            await self._store.departures.postpone(task.user_id, settled_after=self._settled_after)

    async def _hide(self, user_id: str) -> None:
        for board_id in sorted({self._board_id, *await self._store.list_boards()}):
            try:
                await self._visibilities.set_user_visibility(
                    board_id=board_id, user_id=user_id, visibility=Visibility.HIDDEN, reason=_REASON
                )
            except NotFoundError:
                continue  # No points there, so there is nothing to hide.
