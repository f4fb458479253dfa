"""Gathers the questions to a board while others are under way, and puts them together: one trip for many.

Invariants:
- Each board has one trip under way at most. A question is never answered by a trip that began before it was
  asked, so an answer is as new as if it had been asked for alone. A question is put at once where nothing is
  under way. It waits for a timer only where many callers were on the trip before: then it waits for those on
  their way, a few milliseconds, as `crowd.py` has it.
- Callers who ask the same for the same trip share the answer.
- A trip runs in a task of its own. A caller that gives up only stops waiting; what nobody waits for any more
  is not asked.
- What a trip asks for, and how many callers wait, is bounded.

It knows nothing of what is asked. `aiodataloader`, the port of the library that is known for this, puts
whatever was asked in one turn of the event loop, without a bound and beside what is under way.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Final, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from opentelemetry.trace import INVALID_SPAN, Span

from score_service.errors import OverloadedError
from service_runtime.batching.crowd import Crowd, gather_arriving
from service_runtime.telemetry.tracing import current_span, inside

TRIP_MAX: Final = 2_000
"""What a trip asks for, in standings: a few milliseconds of Redis, in which it does nothing else."""
WAITING_MAX: Final = 10_000
"""Callers that wait, of all boards together: more than there may be calls and watches."""
_ENOUGH: Final = 64
"""A trip costs this process as much as half a call; among so many callers that is nothing."""


class Sized(Protocol):
    """A question, which equals those that have the same answer."""

    def __hash__(self) -> int: ...

    @property
    def size(self) -> int:
        """How many standings it asks for, about."""


_Question = TypeVar("_Question", bound=Sized)
_Answer = TypeVar("_Answer")
Ask: TypeAlias = Callable[[str, Sequence[_Question]], Awaitable[Sequence[_Answer]]]
"""Puts questions to a board, and returns an answer to each of them, in order."""


class _Caller(NamedTuple, Generic[_Answer]):
    answer: "asyncio.Future[_Answer]"
    span: Span


_Waiting: TypeAlias = dict[_Question, list[_Caller[_Answer]]]


class ReadCoalescer(Generic[_Question, _Answer]):
    """The questions of one process on their way to boards."""

    def __init__(
        self,
        ask: Ask[_Question, _Answer],
        *,
        trip_max: int = TRIP_MAX,
        waiting_max: int = WAITING_MAX,
        new_crowd: Callable[[], Crowd] = Crowd,
    ) -> None:
        self._ask = ask
        self._trip_max = trip_max
        self._waiting_max = waiting_max
        self._new_crowd = new_crowd
        self._boards: dict[str, _Waiting[_Question, _Answer]] = {}
        """What waits for the next trip of each board that has one under way."""
        self._trips = set[asyncio.Task[None]]()
        self.waiting = 0
        """Callers that wait for an answer."""

    async def read(self, board_id: str, question: _Question) -> _Answer:
        """Ask a board, together with others.

        Raises:
            OverloadedError: too many wait.
            Exception: what `ask` raises.
        """
        if self.waiting >= self._waiting_max:
            raise OverloadedError
        caller = _Caller[_Answer](asyncio.get_running_loop().create_future(), current_span())
        self._queue(board_id).setdefault(question, []).append(caller)
        self.waiting += 1
        try:
            return await caller.answer
        finally:
            self.waiting -= 1

    def _queue(self, board_id: str) -> _Waiting[_Question, _Answer]:
        queue = self._boards.get(board_id)
        if queue is None:
            queue = self._boards[board_id] = {}
            # What is logged of a trip belongs to no one call.
            task = asyncio.create_task(self._work(board_id, queue), name="read coalescer", context=Context())
            self._trips.add(task)
            task.add_done_callback(self._trips.discard)
        return queue

    async def _work(self, board_id: str, queue: _Waiting[_Question, _Answer]) -> None:
        """Make trips until nothing waits, and nobody is expected."""

        def count() -> int:
            return sum(map(len, queue.values()))

        crowd = self._new_crowd()
        while queue or crowd.is_expected:
            await (crowd.gather(count) if crowd.is_expected else gather_arriving(count, _ENOUGH))
            trip = self._take(queue)
            crowd.note(sum(map(len, trip.values())))
            await self._travel(board_id, trip)
        del self._boards[board_id]

    def _take(self, queue: _Waiting[_Question, _Answer]) -> _Waiting[_Question, _Answer]:
        """Take what fits into a trip, in the order in which it was asked; one question always does."""
        trip, size = _Waiting[_Question, _Answer](), 0
        for question in list(queue):
            callers = [caller for caller in queue[question] if not caller.answer.done()]
            if callers and trip and size + question.size > self._trip_max:
                break
            del queue[question]
            if callers:
                trip[question] = callers
                size += question.size
        return trip

    async def _travel(self, board_id: str, trip: _Waiting[_Question, _Answer]) -> None:
        """Put the questions of a trip, within the trace of the first who is traced."""
        if not trip:
            return
        spans = (caller.span for callers in trip.values() for caller in callers)
        with inside(next((span for span in spans if span.is_recording()), INVALID_SPAN)):
            try:
                answers = await self._ask(board_id, list(trip))
            except Exception as error:  # noqa: BLE001 - It is what each of the callers gets.
                for callers in trip.values():
                    _fail(callers, error)
                return
        for callers, answer in zip(trip.values(), answers, strict=True):
            _settle(callers, answer)


def _settle(callers: Sequence[_Caller[_Answer]], answer: _Answer) -> None:
    for caller in callers:
        if not caller.answer.done():  # It may have given up.
            caller.answer.set_result(answer)


def _fail(callers: Sequence[_Caller[_Answer]], error: Exception) -> None:
    for caller in callers:
        if not caller.answer.done():
            caller.answer.set_exception(error)
            caller.answer.exception()  # One that gives up right now does not lose it.
