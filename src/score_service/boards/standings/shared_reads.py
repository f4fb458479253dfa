"""Reads of the record by many callers at once, so that an outage of Redis does not become one of PostgreSQL.

Invariants:
- A board is asked one question at a time, and few boards are at once, so that awards find PostgreSQL free.
- Callers that ask the same at the same time share the answer, and an answer serves for up to a second, but
  nobody is given one from before the revision that they ask for.
- What is kept, how many wait and how long they wait is bounded.

It knows nothing of what is asked.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from contextvars import Context
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias, TypeVar
from weakref import WeakValueDictionary

from score_service.domain.standings.standing import Reading
from score_service.errors import OverloadedError, ProjectionUnavailableError, RecordUnavailableError

_Answer = TypeVar("_Answer")
Ask: TypeAlias = Callable[..., Awaitable[_Answer]]
"""Asks the record. Its first argument is the board."""
_Key: TypeAlias = tuple[Any, ...]
"""What is asked: an `Ask`, and what to call it with."""


@dataclass(frozen=True, slots=True)
class RecordReaderSettings:
    """How much is shared and kept."""

    keep_seconds: float = 1.0
    """How old an answer may be."""
    kept_max: int = 20_000
    """Standings in kept answers; what holds none counts as one."""
    at_once: int = 4
    """Boards that are asked at once: fewer than there are connections."""
    waiting_max: int = 1_000
    """Callers that wait."""
    timeout_seconds: float = 5.0
    """Seconds that a caller waits, at most."""


@dataclass(slots=True)
class _Question:
    answer: asyncio.Task[Any]
    waiting: int = 0


class _Kept(NamedTuple):
    asked_at: float
    answer: Any


class RecordReader:
    """Shares the answers of the record."""

    def __init__(self, settings: RecordReaderSettings | None = None) -> None:
        self._settings = settings or RecordReaderSettings()
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        """Answers, about the oldest first."""
        self._kept_size = 0
        self._questions: dict[_Key, _Question] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._slots = asyncio.Semaphore(self._settings.at_once)
        self._waiting = 0

    async def read(self, ask: Ask[Reading], board_id: str, *rest: Hashable, min_revision: int = 0) -> Reading:
        """Read a board in the record, at a revision or later.

        Raises:
            ProjectionUnavailableError: the ledger has not reached the revision.
            ScoreServiceError: what `look_up` raises.
        """

        def suffices(reading: Reading) -> bool:
            return reading.position.revision >= min_revision

        reading = await self.look_up(ask, board_id, *rest, suffices=suffices)
        if not suffices(reading):
            raise ProjectionUnavailableError
        return reading

    async def look_up(
        self,
        ask: Ask[_Answer],
        board_id: str,
        *rest: Hashable,
        suffices: Callable[[_Answer], bool] = lambda _answer: True,
    ) -> _Answer:
        """Ask the record of a board, or share what it answers to someone who asks the same.

        Args:
            ask: what asks.
            board_id: the board.
            rest: what else to ask with.
            suffices: whether an answer will do that was asked for earlier.

        Raises:
            OverloadedError: too many wait.
            RecordUnavailableError: PostgreSQL is unavailable, or there was no answer in time.
            ScoreServiceError: what `ask` raises.
        """
        key = (ask, board_id, *rest)
        kept = self._find(key)
        if kept and suffices(kept.answer):
            answer: _Answer = kept.answer
            return answer
        return await self._wait(key, board_id, suffices)

    async def _wait(self, key: _Key, board_id: str, suffices: Callable[[_Answer], bool]) -> _Answer:
        if max(self._waiting, len(self._questions)) >= self._settings.waiting_max:
            raise OverloadedError
        self._waiting += 1
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                is_shared = key in self._questions
                answer: _Answer = await self._join(key, board_id)
                if is_shared and not suffices(answer):
                    # It may have been asked for before what is wanted was there. The next one is not.
                    answer = await self._join(key, board_id)
                return answer
        except TimeoutError:
            raise RecordUnavailableError from None
        finally:
            self._waiting -= 1

    async def _join(self, key: _Key, board_id: str) -> Any:
        """Wait for the answer to a question, which others may wait for too."""
        question = self._questions.get(key)
        if question is None:
            # What is logged of an answer that many share belongs to no one call.
            answer = asyncio.create_task(self._answer(key, board_id), name="record reader", context=Context())
            answer.add_done_callback(_retrieve)
            question = self._questions[key] = _Question(answer)
        question.waiting += 1
        try:
            return await asyncio.shield(question.answer)
        finally:
            question.waiting -= 1

    async def _answer(self, key: _Key, board_id: str) -> Any:
        try:
            async with self._turns.setdefault(board_id, asyncio.Lock()), self._slots:
                if not self._questions[key].waiting:
                    raise OverloadedError  # Said to nobody: all who asked have left.
                asked_at = asyncio.get_running_loop().time()
                ask, *rest = key
                answer = await ask(*rest)
                self._keep(key, asked_at, answer)
                return answer
        finally:
            del self._questions[key]

    def _find(self, key: _Key) -> _Kept | None:
        kept = self._kept.get(key)
        return kept if kept and self._is_fresh(kept.asked_at) else None

    def _is_fresh(self, asked_at: float) -> bool:
        return asyncio.get_running_loop().time() - asked_at < self._settings.keep_seconds

    def _keep(self, key: _Key, asked_at: float, answer: object) -> None:
        if key in self._kept:
            self._forget(key)
        self._kept[key] = _Kept(asked_at, answer)
        self._kept_size += _size(answer)
        while self._kept:
            oldest, kept = next(iter(self._kept.items()))
            if self._kept_size <= self._settings.kept_max and self._is_fresh(kept.asked_at):
                return
            self._forget(oldest)

    def _forget(self, key: _Key) -> None:
        self._kept_size -= _size(self._kept.pop(key).answer)


def _size(answer: object) -> int:
    return 1 + len(answer.top) + len(answer.users) if isinstance(answer, Reading) else 1


def _retrieve(answer: asyncio.Task[Any]) -> None:
    """Take the failure of an answer that nobody waits for, so that it is not reported as lost."""
    if not answer.cancelled():
        answer.exception()
