"""Awards on their way out: concurrent ones share a call.

Invariants:
- Where no call is under way, an award goes at once. Awards asked for meanwhile gather and go together in the
  next call: when the one under way has ended, or beside it once they are many or it takes long. A call waits
  for a few milliseconds only where many were in the one before, for those who are on their way.
- The outcome of an award in a shared call reaches its caller only.
- A caller that gives up only stops waiting.
- A call that a server had no room for keeps its slot for a while, so that awards which wait do not ask at
  once instead. Where all slots are kept so, the server gets no call.
- An award is tried again while nothing is known of it, with the same ids each time.
"""

import asyncio
import random
import secrets
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from typing import Final

from opentelemetry.trace import Span, Tracer

from score_api.v1 import score_service_pb2 as scores
from score_client.errors import (
    NotAllowedError,
    NotAuthenticatedError,
    QuotaExceededError,
    ScoreClientError,
    ServiceFaultError,
    UnavailableError,
    from_award_error,
)
from score_client.transport import tracing
from score_client.transport.channel import RenewedChannel
from score_client.transport.retry import outcome, retried_calls
from score_client.transport.tracing import Metadata
from service_runtime.batching.crowd import Crowd

CALLS_MAX: Final = 2
"""Calls under way. With one alone, everything would stand still behind a server that does not answer."""
CROWD: Final = 50
"""Awards that are worth a call beside another one. A call costs both sides as much as some ten awards."""
LONG_CALL: Final = 0.05
"""Seconds after which a call takes long, and does not keep others from going beside it."""
BATCH_MAX: Final = 500
ALONE_MAX: Final = 50
"""Awards under way together for each of those calls where every award needs a call of its own."""
BOARDS_MAX: Final = 16
"""The service takes no more boards in one call."""
OVERLOADED: Final = "OVERLOADED"
"""Why a server rejects an award that it has no room for. It has not taken it in."""
_PAUSE_MAX: Final = 5.0
_PASSING: Final = ("QUOTA_EXCEEDED", "CERTIFICATE_EXPIRED")
"""Why a caller is rejected now whose attempt a moment ago may have been accepted."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An award, and the future for its outcome."""

    request: scores.AwardPointsRequest
    result: "asyncio.Future[scores.AwardResult]"
    span: Span
    """What it is sent for; an invalid one while tracing is off."""

    def settle(self, result: scores.AwardResult | ScoreClientError) -> None:
        if self.result.done():  # The caller has given up.
            return
        if isinstance(result, ScoreClientError):
            self.result.set_exception(result)
        else:
            self.result.set_result(result)


class Awards:
    """The awards of one client."""

    def __init__(self, channel: RenewedChannel, tracer: Tracer | None, *, call_timeout: float) -> None:
        """Take what makes spans, if anything, and the seconds that one call may take."""
        self._channel = channel
        self._tracer = tracer
        self._call_timeout = call_timeout
        self._waiting: deque[_Waiting] = deque()
        self._calls: dict[asyncio.Task[None], float] = {}
        """Those under way, with the time at which each began."""
        self._crowd = Crowd()
        self._batches_rejected = False
        self._rejected_in_a_row = 0
        self._finishing = asyncio.Event()

    async def send(self, request: scores.AwardPointsRequest, *, within: float) -> scores.AwardResult:
        """Send an award, with others if there are any, again while the service is unavailable.

        Raises:
            UnavailableError: No outcome is known after so many seconds.
            ScoreClientError: What was answered instead of a result.
        """
        is_unknown = False

        async def send_once(seconds: float) -> scores.AwardResult:
            nonlocal is_unknown
            try:
                return await self._send_once(request, seconds)
            except UnavailableError as error:
                is_unknown = is_unknown or error.reason != OVERLOADED
                raise
            except (QuotaExceededError, NotAuthenticatedError) as error:
                if not is_unknown or error.reason not in _PASSING:
                    raise
                # It was checked first, so this does not say whether an earlier try has made the award.
                retry_after = error.retry_after if isinstance(error, QuotaExceededError) else None
                raise UnavailableError(error.reason, error.message, retry_after) from error

        return await retried_calls(send_once, within=within, call_timeout=self._call_timeout)

    async def finish(self) -> None:
        """Wait until every call has ended."""
        self._finishing.set()
        while self._calls:
            await asyncio.wait(self._calls)

    async def _send_once(self, request: scores.AwardPointsRequest, within: float) -> scores.AwardResult:
        waiting = _Waiting(request, asyncio.get_running_loop().create_future(), tracing.current_span())
        self._waiting.append(waiting)
        self._fill_calls()
        try:
            async with asyncio.timeout(within):
                return await waiting.result
        except TimeoutError:
            raise UnavailableError("DEADLINE_EXCEEDED", f"No answer within {within:.1f} s.") from None

    def _fill_calls(self) -> None:
        if self._waiting and self._is_call_due():
            loop = asyncio.get_running_loop()
            look_again = loop.call_later(LONG_CALL, self._fill_calls)
            call = asyncio.create_task(self._call(), name="awards")
            self._calls[call] = loop.time()
            call.add_done_callback(partial(self._end_call, look_again))

    def _is_call_due(self) -> bool:
        if not self._calls:
            return True
        if len(self._calls) >= CALLS_MAX:
            return False
        taken = asyncio.get_running_loop().time() - min(self._calls.values())
        return len(self._waiting) >= CROWD or taken >= LONG_CALL

    def _end_call(self, look_again: asyncio.TimerHandle, call: "asyncio.Task[None]") -> None:
        look_again.cancel()
        del self._calls[call]
        self._fill_calls()

    async def _call(self) -> None:
        await self._crowd.gather(self._waiting.__len__)
        batch = self._next_batch()
        self._crowd.note(len(batch))
        if len(batch) > 1 and not self._batches_rejected:
            await self._keep_slot(await self._send_together(batch))
        else:
            await self._keep_slot(max(await asyncio.gather(*map(self._send_alone, batch)), default=0.0))

    async def _keep_slot(self, seconds: float) -> None:
        """Keep the slot of this call for half to all of the time that the server asked for.

        One rejection after an answer costs nothing: of several servers, one may be full and the others not.
        """
        self._rejected_in_a_row = self._rejected_in_a_row + 1 if seconds > 0 else 0
        if self._rejected_in_a_row > 1:
            share = random.uniform(0.5, 1.0)  # noqa: S311 - Others were asked for the same pause at the same time.
            with suppress(TimeoutError):
                async with asyncio.timeout(share * min(seconds, _PAUSE_MAX)):
                    await self._finishing.wait()

    def _next_batch(self) -> Sequence[_Waiting]:
        """Take what goes into one call, in the order asked, leaving out those who have given up."""
        batch, boards = list[_Waiting](), set[str]()
        most = ALONE_MAX if self._batches_rejected else BATCH_MAX
        while self._waiting and len(batch) < most:
            waiting = self._waiting[0]
            boards.add(waiting.request.award.board_id)
            if len(boards) > BOARDS_MAX:
                break
            self._waiting.popleft()
            if not waiting.result.done():
                batch.append(waiting)
        return batch

    async def _send_alone(self, waiting: _Waiting) -> float:
        """Send one award; return for how many seconds the server wants to be left alone."""
        try:
            method = self._channel.current.stubs.scores.AwardPoints
            with tracing.call(self._tracer, waiting.request, [waiting.span]) as traced:
                metadata = _metadata(waiting.request, traced)
                call = method(waiting.request, timeout=self._call_timeout, metadata=metadata)
                response = await outcome(call)
            waiting.settle(response.result)
        except ScoreClientError as error:
            waiting.settle(error)
            return _asked_pause(error)
        return 0.0

    async def _send_together(self, batch: Sequence[_Waiting]) -> float:
        """Send awards in one call; return the same."""
        request = scores.BatchAwardPointsRequest(requests=[waiting.request for waiting in batch])
        try:
            method = self._channel.current.stubs.scores.BatchAwardPoints
            with tracing.call(self._tracer, request, [waiting.span for waiting in batch]) as traced:
                response = await outcome(method(request, timeout=self._call_timeout, metadata=traced))
        except ScoreClientError as error:
            if _is_rejection_of_batches(error):
                self._batches_rejected = True
                self._waiting.extendleft(reversed(batch))
                return 0.0
            for waiting in batch:
                waiting.settle(copy(error))
            return _asked_pause(error)
        # An award that the answer leaves out gets an error that says so.
        for waiting, item in zip_longest(batch, response.items[: len(batch)]):
            waiting.settle(_result_of(item or scores.BatchAwardPointsItem()))
        return 0.0


def _asked_pause(error: ScoreClientError) -> float:
    """Return for how long a server that has no room for any call wants to be left alone."""
    if isinstance(error, UnavailableError) and error.reason == OVERLOADED:
        return error.retry_after or 0.0
    return 0.0


def _result_of(item: scores.BatchAwardPointsItem) -> scores.AwardResult | ScoreClientError:
    if item.HasField("result"):
        return item.result
    if item.HasField("error"):
        return from_award_error(item.error)
    return ServiceFaultError("MALFORMED_ANSWER", "The answer is not what the contract says.")


def _is_rejection_of_batches(error: ScoreClientError) -> bool:
    """Return whether batches are what the policy does not allow, or what an older service does not know."""
    return isinstance(error, NotAllowedError) or error.reason == "UNIMPLEMENTED"


def _metadata(request: scores.AwardPointsRequest, traced: Metadata) -> Metadata:
    """Name the request and the trace of a call that is about one award, the latter by its span, if any."""
    name = ("x-request-id", request.request_id)
    if traced or not request.trace_id:
        return (name, *traced)
    return name, ("traceparent", f"00-{request.trace_id}-{secrets.token_hex(8)}-01")
