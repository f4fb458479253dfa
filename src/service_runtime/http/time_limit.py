"""A time limit that costs a timer only where there is something to wait for.

`asyncio.timeout` sets its timer each time. Most sends to a socket do not wait, and most bodies have come by
the time they are asked for, so the timer would cost more than they do.
"""

import asyncio
from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any, Generic, TypeVar

_Result = TypeVar("_Result")


class TimeLimited(Generic[_Result]):
    """Awaits a coroutine for so many seconds at most. Raises TimeoutError after that."""

    def __init__(self, coroutine: Coroutine[Any, Any, _Result], seconds: float) -> None:
        self._coroutine = coroutine
        self._seconds = seconds

    def __await__(self) -> Generator[Any, None, _Result]:
        steps = self._coroutine.__await__()
        try:
            waits_for = next(steps)
        except StopIteration as done:
            result: _Result = done.value
            return result
        return (yield from self._wait(_Rest(steps, waits_for)).__await__())

    async def _wait(self, rest: "_Rest[_Result]") -> _Result:
        async with asyncio.timeout(self._seconds):
            return await rest


class _Rest(Generic[_Result]):
    """What is left of a coroutine that has begun to wait for something."""

    def __init__(self, steps: Generator[Any, None, _Result], waits_for: Any) -> None:
        self._steps = steps
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, None, _Result]:
        waits_for = self._waits_for
        while True:
            try:
                yield waits_for
            except BaseException as error:  # noqa: BLE001 - It is the coroutine's, which may handle it.
                step = partial(self._steps.throw, error)
            else:
                step = partial(next, self._steps)
            try:
                waits_for = step()
            except StopIteration as done:
                result: _Result = done.value
                return result
