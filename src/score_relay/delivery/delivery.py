"""Delivers the entries of one board to one receiver: in order, each at least once.

Invariants:
- An entry is dealt with once its receiver took it, or once it is a dead letter. Only then does the position
  move.
- Nothing is sent while another process may deliver, as far as the clock of this one tells.
- Nobody else waits for a receiver: it has a task, connections and a position of its own.
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Final

import structlog

from score_client import (
    BoardNotFoundError,
    Entry,
    HistoryArchivedError,
    PositionUnknownError,
    ScoreClient,
    ScoreClientError,
)
from score_relay.delivery.attempt import Outcome, Verdict, find_pause, is_given_up
from score_relay.delivery.sender import Sender
from score_relay.errors import NotHeldError, StoreUnavailableError
from score_relay.events.cloud_event import Event, make_event
from score_relay.metrics import Metrics
from score_relay.receivers import Receiver, Start
from score_relay.store.store import HELD_SECONDS, Route, Store
from service_runtime.telemetry.logs import error_fields

_MARGIN_SECONDS: Final = 3.0
"""By which this process stops before another one may begin."""
_RETRY_SECONDS: Final = 1.0
_ABSENT_SECONDS: Final = 5.0
"""Between two looks whether another process has ended, or a board was made."""
_STOPPED_SECONDS: Final = 30.0

_log = structlog.get_logger(__name__)


class Delivery:
    """One receiver and one board."""

    def __init__(
        self,
        receiver: Receiver,
        board_id: str,
        *,
        client: ScoreClient,
        store: Store,
        sender: Sender,
        metrics: Metrics,
        source: str,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.route = Route(receiver.name, board_id)
        self.is_stopped = False
        """Whether nothing can be read from the position on, and somebody has to say where to go on."""
        self.idle = asyncio.Event()
        """Set while no attempt is under way."""
        self.idle.set()
        self._receiver = receiver
        self._client = client
        self._store = store
        self._sender = sender
        self._metrics = metrics
        self._source = source
        self._draw = draw
        self._position: str | None = None
        """Up to which all entries were dealt with."""
        self._saved: str | None = None
        self._held_until = 0.0
        """By the clock of the event loop; 0 while this process does not deliver."""
        self._entry: Entry | None = None
        """The one that is being delivered."""
        self._is_stopping = False
        self._log = _log.bind(receiver=receiver.name, board_id=board_id)

    @property
    def is_held(self) -> bool:
        """Whether this process delivers."""
        return self._held_until > 0

    @property
    def unsaved(self) -> str | None:
        """The position, if the store does not have it yet."""
        return self._position if self._position != self._saved else None

    @property
    def lag_seconds(self) -> float:
        """How long ago the entry was recorded that is being delivered; 0 while none is."""
        entry = self._entry
        return (datetime.now(UTC) - entry.content.recorded_at).total_seconds() if entry else 0.0

    def keep(self, position: str | None, asked_at: float) -> None:
        """Take in that the store has a position, and that this process goes on, as of when it was asked."""
        self._saved = position or self._saved
        if self.is_held:
            self._held_until = asked_at + HELD_SECONDS - _MARGIN_SECONDS

    def lose(self) -> None:
        """Take in that another process delivers."""
        self._held_until = 0.0

    def stop(self) -> None:
        """Begin no other attempt."""
        self._is_stopping = True

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            pause = _RETRY_SECONDS
            try:
                await self._claim()
                await self._deliver()
            except NotHeldError:
                self._log.debug("delivered_elsewhere")
                pause = _ABSENT_SECONDS
            except StoreUnavailableError:
                pass  # That is logged where it is found out.
            except PositionUnknownError:
                self._log.error("position_unknown", position=self._position)
                self.is_stopped, pause = True, _STOPPED_SECONDS
            except HistoryArchivedError as error:
                self._log.error(
                    "history_archived", position=self._position, archived_position=error.archived_position
                )
                self.is_stopped, pause = True, _STOPPED_SECONDS
            except BoardNotFoundError:
                self._log.debug("board_not_found")
                pause = _ABSENT_SECONDS
            except ScoreClientError as error:
                self._log.warning("entries_interrupted", **error_fields(error))
            except Exception:  # noqa: BLE001 - Logged whole; others are delivered to all the same.
                self._log.exception("delivery_failed")
            await asyncio.sleep(pause)

    async def _claim(self) -> None:
        asked_at = asyncio.get_running_loop().time()
        stored = await self._store.claim(self.route)
        self._held_until = asked_at + HELD_SECONDS - _MARGIN_SECONDS
        if stored != self._saved:  # Another process, or a person, has moved it.
            self._position = self._saved = stored
            self.is_stopped = False
        if self._position is None and self._receiver.start is Start.NOW:
            self._position = (await self._client.get_board(board_id=self.route.board_id)).position

    async def _deliver(self) -> None:
        entries = self._client.entries(
            board_id=self.route.board_id,
            after_position=self._position or "",
            kinds=self._receiver.kinds,
            on_checkpoint=self._pass,
        )
        try:
            async with aclosing(entries):
                async for entry in entries:
                    self.is_stopped = False
                    self._entry = entry
                    await self._hand_over(entry)
                    self._position, self._entry = entry.position, None
        finally:
            self._entry = None

    def _pass(self, position: str) -> None:
        """Take in that nothing is to be delivered up to a position: what it stands before may be archived."""
        self._position = position

    async def _hand_over(self, entry: Entry) -> None:
        """Send an entry until the receiver takes it, or it is given up."""
        clock = asyncio.get_running_loop().time
        event = make_event(self.route.board_id, entry, self._source)
        began, attempts, rejections = clock(), 0, 0
        while True:
            outcome = await self._attempt(event)
            if outcome.verdict is Verdict.DELIVERED:
                self._metrics.delivered.labels(self.route.receiver).inc()
                return
            attempts += 1
            rejections += outcome.verdict is Verdict.REJECTED
            if is_given_up(outcome, rejections, clock() - began, self._receiver.give_up_seconds):
                await self._give_up(entry, event, attempts, outcome)
                return
            pause = find_pause(attempts, self._receiver.retry_max_seconds, outcome, self._draw)
            if attempts == 1:
                self._log.warning(
                    "attempt_failed", event_id=event.event_id, reason=outcome.reason, retry_after=pause
                )
            await asyncio.sleep(pause)

    async def _attempt(self, event: Event) -> Outcome:
        clock = asyncio.get_running_loop().time
        if self._is_stopping or clock() >= self._held_until:
            raise NotHeldError
        began = clock()
        self.idle.clear()
        try:
            outcome = await self._sender.send(event)
        finally:
            # What follows a success moves the position before anything else can run.
            self.idle.set()
        self._metrics.attempt_seconds.labels(self.route.receiver).observe(clock() - began)
        if outcome.verdict is not Verdict.DELIVERED:
            reason = f"{outcome.reason[0]}xx" if outcome.reason.isdecimal() else outcome.reason
            self._metrics.attempts_failed.labels(self.route.receiver, reason).inc()
        return outcome

    async def _give_up(self, entry: Entry, event: Event, attempts: int, outcome: Outcome) -> None:
        await self._store.bury(
            self.route,
            entry.position,
            revision=entry.revision,
            attempts=attempts,
            reason=outcome.reason,
            event=event.body.decode(),
        )
        self._metrics.given_up.labels(self.route.receiver).inc()
        self._log.error("event_given_up", event_id=event.event_id, attempts=attempts, reason=outcome.reason)
