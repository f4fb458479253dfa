"""When and after what pause something is tried again, and how a call's end becomes an exception.

Everything the service offers may be sent again: reads by nature, awards because the award id and the
request id stay the same. The caller's own cancellation is never answered with another try.
"""

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_before_delay,
    stop_never,
    wait_random_exponential,
)

from score_client.errors import ScoreClientError, ServiceFaultError, UnavailableError, from_rpc_error

# However long the service asks to wait, a watch is opened again after this many seconds.
LONGEST_ASKED_PAUSE = 30.0
# A call that fails with no more seconds left than this may be the last one.
LAST_SECONDS = 0.2

_T = TypeVar("_T")
_logger = logging.getLogger(__name__)


async def retried(
    attempt: Callable[[], Awaitable[_T]], *, on: tuple[type[ScoreClientError], ...], within: float | None
) -> _T:
    """Await `attempt()` until it ends with anything but the errors `on`.

    Between two attempts lies a random pause of at most 0.1 s, then 0.2 s and so on up to 2 s, on top of
    what the service asked for. After `within` seconds (None: never) the last error is raised. The time is
    used to its end: where a pause would leave none for another attempt, it is shorter.
    """
    started = time.monotonic()
    try:
        return await attempt()  # Most need no second, and then nothing of what follows, which costs as much.
    except on as error:
        failed: list[ScoreClientError] = [error]

    async def attempt_again() -> _T:
        if failed:
            raise failed.pop()
        return await attempt()

    if within is not None:
        within -= time.monotonic() - started
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(on),
        wait=_pauses(within),
        stop=stop_never if within is None else stop_before_delay(within),
        before_sleep=_log_failure,
        reraise=True,
    )
    return await retrying(attempt_again)


async def retried_calls(call: Callable[[float], Awaitable[_T]], *, within: float, call_timeout: float) -> _T:
    """Await `call(seconds)`, again while nothing answers, until the time is up.

    Args:
        call: Makes one call, which may take so many seconds.
        within: Seconds that all of them may take together.
        call_timeout: Seconds that one may take.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + within

    async def attempt() -> _T:
        return await call(min(call_timeout, deadline - clock()))

    return await retried(attempt, on=(UnavailableError,), within=within)


async def outcome(answer: Awaitable[_T]) -> _T:
    """Await a call, or a message of a stream, and raise its failure as an error of this library."""
    try:
        message = await answer
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from error
    except asyncio.CancelledError:
        if _caller_is_cancelled():
            raise
        # The channel was closed under the call.
        raise UnavailableError("CANCELLED", "The connection was closed during the call.") from None
    if message is None:  # What gRPC makes of bytes that are no message.
        raise ServiceFaultError("MALFORMED_ANSWER", "The answer is not what the contract says.")
    return message


def _caller_is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _pauses(within: float | None) -> Callable[[RetryCallState], float]:
    grow = wait_random_exponential(multiplier=0.1, max=2.0)

    def pause(state: RetryCallState) -> float:
        asked, drawn = _asked_pause(state), grow(state)
        left = math.inf if within is None else within - (state.seconds_since_start or 0.0) - asked
        if left > LAST_SECONDS:
            # Not to the very end, so that there is time to answer, and at random, as every pause.
            drawn = min(drawn, left * random.uniform(0.5, 0.9))  # noqa: S311 - it spreads tries, no secret
        return asked + drawn

    return pause


def _asked_pause(state: RetryCallState) -> float:
    error = state.outcome and state.outcome.exception()
    return min(getattr(error, "retry_after", None) or 0.0, LONGEST_ASKED_PAUSE)


def _log_failure(state: RetryCallState) -> None:
    error = state.outcome and state.outcome.exception()
    # A long outage is told once.
    level = logging.INFO if state.attempt_number == 1 else logging.DEBUG
    _logger.log(level, "Trying again after %s", error)
