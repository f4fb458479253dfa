"""Scans of all boards, again and again: those not at the head of their ledger are repaired."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, Self

from score_service.domain.ledger.position import Position
from score_service.errors import RecordUnavailableError
from score_service.projection.projection import Projection
from score_service.projection.replies import Header
from score_service.reconcile.failures import log_failure
from score_service.reconcile.freshness import Freshness
from score_service.reconcile.headers import Headers, revisions_behind
from score_service.reconcile.known_boards import KNOWN_MAX, KnownBoards
from score_service.reconcile.repairs import Repairs
from score_service.record.ledger import Ledger
from service_runtime.lifecycle import running_loop

_PAGE: Final = 500
"""Boards that are compared at a time."""
_CHECKS_AT_ONCE: Final = 8
_REPAIRS_MAX: Final = 1_000
"""Repairs that scans begin before others have ended."""


@dataclass(frozen=True, slots=True)
class _BoardState:
    """A board in both stores, its head read before its header."""

    board_id: str
    head: Position
    header: Header | None

    @property
    def behind(self) -> int:
        """By how many revisions the projection is behind."""
        return revisions_behind(self.header, self.head.revision)

    @property
    def is_at_head(self) -> bool:
        return self.header is not None and self.header.is_at(self.head)


class Scanner:
    """Compares the projection of every board with the head of its ledger."""

    def __init__(
        self,
        ledger: Ledger,
        projection: Projection,
        repairs: Repairs,
        known_boards: KnownBoards,
        freshness: Freshness,
    ) -> None:
        self._ledger = ledger
        self._projection = projection
        self._headers = Headers(ledger, projection)
        self._repairs = repairs
        self._known_boards = known_boards
        self._freshness = freshness
        self.lag = math.nan
        """Revisions by which the board furthest behind was behind at the last scan; NaN where it failed."""
        self.stale = math.nan
        """Boards that lacked at the last scan what the record had a second before; NaN where it failed."""
        self.scans = 0
        """Scans that found out the lag."""

    @asynccontextmanager
    async def running(self, interval: float) -> AsyncIterator[Self]:
        """Scan all boards each `interval` seconds."""
        try:
            async with running_loop(partial(self._run, interval), "scanner"):
                yield self
        finally:
            await self._repairs.end()

    async def _run(self, interval: float, stop: asyncio.Event) -> None:
        """Scan again and again until `stop` is set; what is unavailable now is there at some later scan."""
        while not stop.is_set():
            try:
                self.lag, self.stale = await self.scan(stop)
                self.scans += not math.isnan(self.lag)
            except Exception as error:  # noqa: BLE001 - Logged; the loop must not end.
                self.lag, self.stale = math.nan, math.nan
                if isinstance(error, RecordUnavailableError):
                    self._freshness.forget()
                log_failure(error)
            await asyncio.sleep(interval)

    async def scan(self, stop: asyncio.Event) -> tuple[float, float]:
        """Compare all boards until `stop` is set, and have those repaired that are not at their head.

        Returns:
            By how many revisions the board furthest behind is behind, and how many boards are stale; NaN
            where a part of Redis is unavailable, or a node of PostgreSQL is.

        Raises:
            ProjectionUnavailableError: Redis is unavailable.
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        lag, stale, is_complete, is_whole, after, known = 0, 0, True, True, "", set[str]()
        while not stop.is_set():
            heads, are_all = await self._ledger.list_reachable_heads(after, _PAGE)
            is_whole = is_whole and are_all
            if not heads:
                break
            states = await self._read_states(heads)
            is_complete = is_complete and len(states) == len(heads)
            lag = max([lag, *(state.behind for state in states)])
            stale += sum(map(self._is_stale, states))
            await self._repair([state for state in states if not state.is_at_head])
            after, _ = heads[-1]
            known.update(board_id for board_id, _ in heads[: KNOWN_MAX - len(known)])
        if is_whole and not stop.is_set():  # Boards of nodes that are unavailable are still there.
            await self._known_boards.replace(known)
            if len(known) < KNOWN_MAX:  # Otherwise there may be more.
                self._freshness.keep(known)
        return (lag, stale) if is_complete and is_whole else (math.nan, math.nan)

    def _is_stale(self, state: _BoardState) -> bool:
        """Take note of how far both stores are, and tell whether the projection is stale."""
        if state.behind:
            self._freshness.note_lack(state.board_id, state.head.revision)
        else:
            self._freshness.note_reached(state.board_id, state.head.revision)
        return self._freshness.is_stale(state.board_id, state.head.revision - state.behind)

    async def _read_states(self, heads: Sequence[tuple[str, Position]]) -> list[_BoardState]:
        headers = await self._projection.read_headers([board_id for board_id, _ in heads])
        return [
            _BoardState(board_id, head, headers[board_id]) for board_id, head in heads if board_id in headers
        ]

    async def _repair(self, states: Sequence[_BoardState]) -> None:
        for first in range(0, len(states), _CHECKS_AT_ONCE):
            await asyncio.gather(*map(self._repair_one, states[first : first + _CHECKS_AT_ONCE]))

    async def _repair_one(self, state: _BoardState) -> None:
        """Repair a board, unless it has reached meanwhile what was the head.

        Its header is read again, after the head, so one that is ahead may be of the record's future.
        """
        header = await self._headers.find(state.board_id)
        has_reached = header is not None and header.position.revision >= state.head.revision
        if not has_reached and len(self._repairs) < _REPAIRS_MAX:
            self._repairs.begin(state.board_id)
