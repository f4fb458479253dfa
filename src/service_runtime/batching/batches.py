"""What comes while a batch is under way shares the next one.

Invariants:
- One batch is under way at a time. Where none is, an item goes at once. It waits for a timer only where many
  were in the batch before: then it waits for those on their way, a few milliseconds, as `crowd.py` has it.
- A batch runs in a task of its own. A caller that gives up only stops waiting, and an item that nobody waits
  for any more is left out of the next batch.
- Each caller gets the outcome of its own item. Where a batch fails, each gets the error.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from service_runtime.batching.crowd import Crowd

_Item = TypeVar("_Item")
_Outcome = TypeVar("_Outcome")


class _Waiting(NamedTuple, Generic[_Item, _Outcome]):
    """An item, and the future for its outcome."""

    item: _Item
    outcome: "asyncio.Future[_Outcome]"


_Batch: TypeAlias = Sequence[_Waiting[_Item, _Outcome]]


class Batches(Generic[_Item, _Outcome]):
    """Items on their way, together."""

    def __init__(
        self,
        name: str,
        run: Callable[[Sequence[_Item]], Awaitable[Sequence[_Outcome]]],
        *,
        limit: int,
        key: Callable[[_Item], Hashable] | None = None,
    ) -> None:
        """Take what is done with items.

        Args:
            name: Of the task that runs batches.
            run: Does a batch, and returns the outcome of each item, in order.
            limit: Items in a batch at most.
            key: Items of the same key do not share a batch.
        """
        self._name = name
        self._run = run
        self._limit = limit
        self._key = key
        self._queue = deque[_Waiting[_Item, _Outcome]]()
        self._task: asyncio.Task[None] | None = None
        self._crowd = Crowd()

    async def add(self, item: _Item) -> _Outcome:
        """Do an item, together with others. Raises what the batch fails with."""
        outcome: asyncio.Future[_Outcome] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(item, outcome))
        if self._task is None:
            # Not in the context of a request: what is logged of a batch is of all of them.
            self._task = asyncio.create_task(self._work(), name=self._name, context=Context())
        return await outcome

    async def _work(self) -> None:
        try:
            while self._queue:
                await self._crowd.gather(self._queue.__len__)
                if batch := self._take():
                    self._crowd.note(len(batch))
                    await self._do(batch)
        finally:
            self._task = None

    def _take(self) -> _Batch[_Item, _Outcome]:
        batch, left = list[_Waiting[_Item, _Outcome]](), list[_Waiting[_Item, _Outcome]]()
        keys = set[Hashable]()
        while self._queue and len(batch) < self._limit:
            waiting = self._queue.popleft()
            if waiting.outcome.done():
                continue  # Given up.
            key = self._key(waiting.item) if self._key else object()
            if key in keys:
                left.append(waiting)
            else:
                keys.add(key)
                batch.append(waiting)
        self._queue.extendleft(reversed(left))
        return batch

    async def _do(self, batch: _Batch[_Item, _Outcome]) -> None:
        try:
            outcomes = await self._run([waiting.item for waiting in batch])
        except Exception as error:  # noqa: BLE001 - Each of those who wait gets it.
            for waiting in batch:
                if not waiting.outcome.done():
                    waiting.outcome.set_exception(error)
                    waiting.outcome.exception()  # A caller that gives up right now does not lose it.
            return
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if not waiting.outcome.done():
                waiting.outcome.set_result(outcome)
