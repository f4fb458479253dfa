"""How long a process takes from its command until it is ready, again and again."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial

from bench.figures.row import Quantity, Row, Sample, at_most, median_ms
from bench.stack.stack import Stack
from bench.themes.theme import Measure, Theme


@asynccontextmanager
async def _open(stack: Stack) -> AsyncIterator[Mapping[str, Measure]]:
    yield {
        "echo-start": partial(_start_again, stack.time_echo_start),
        "start": partial(_start_again, stack.time_service_start),
    }


async def _start_again(time_start: Callable[[], float], seconds: float) -> Sample:
    began, latencies = time.monotonic(), list[float]()
    while not latencies or time.monotonic() < began + seconds:
        latencies.append(await asyncio.to_thread(time_start))
    return Sample(len(latencies), sum(latencies), latencies)


START = Theme(
    "start",
    (
        Row("echo-start", "bare gRPC server: start until it listens", "ms p50", median_ms),
        Row(
            "start",
            "score service: start until it is ready",
            "ms p50",
            median_ms,
            limit="echo-start",
            targets=(at_most(0.6, Quantity.BASE),),
        ),
    ),
    _open,
)
