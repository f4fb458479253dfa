"""Load: calls that are made, and how long each took. It knows nothing of what is called."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from bench.figures.row import Sample

Call: TypeAlias = Callable[[], Awaitable[int]]
"""Does something and returns how many operations that was; 0 if nothing is left to do."""


async def keep_in_flight(call: Call, in_flight: int, seconds: float) -> Sample:
    """Have so many calls under way at all times: each answer is followed by the next call.

    It ends before the time where nothing is left to do.
    """
    clock, latencies, count = time.perf_counter, list[float](), 0
    start = clock()

    async def work() -> None:
        nonlocal count
        ended = -math.inf  # One call at least, also where the machine is too busy to begin any in time.
        while ended < start + seconds:
            began = clock()
            if not (done := await call()):
                return
            count += done  # Not in one: the old count would be read before the call.
            ended = clock()
            latencies.append(ended - began)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(in_flight):
            tasks.create_task(work())
    return Sample(count, clock() - start, latencies)


async def keep_pace(call: Call, per_second: float, seconds: float) -> Sample:
    """Begin calls at an even pace, one at least, whether or not the earlier ones are answered."""
    clock, latencies, count = time.perf_counter, list[float](), 0
    start = clock()

    async def work(due: float) -> None:
        nonlocal count
        done = await call()
        count += done
        latencies.append(clock() - due)

    async with asyncio.TaskGroup() as tasks:
        for number in range(max(1, round(per_second * seconds))):
            due = start + number / per_second
            if (early := due - clock()) > 0:
                await asyncio.sleep(early)
            tasks.create_task(work(due))
    return Sample(count, clock() - start, latencies)
