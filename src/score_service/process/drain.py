"""Stops a service in order, so that no call is lost that had come in.

1. Not ready: callers that ask after our health go elsewhere. All are answered meanwhile.
2. Streams end, with a status to retry. Plans of reversals that are applied end with their page.
3. Calls that come now are taken in but not begun, and those under way are not answered; then connections get
   a GOAWAY. gRPC drops what it has not handed over to us by then, and callers that wait for an answer before
   the next call have none there. Calls go on after that, and callers take their next one elsewhere.
4. Calls are finished, and awards and corrections that nobody waits for any more.

Each step is bounded, and a second signal cuts the waiting short. The stores are closed after that.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

import grpc

from score_service.boards.awards.scoring import Scoring
from score_service.boards.corrections.corrector import Corrector
from score_service.boards.corrections.reversal_plans import ReversalPlans
from score_service.grpc_api.in_flight import InFlight
from score_service.grpc_api.open_streams import OpenStreams
from service_runtime.lifecycle import wait_unless
from service_runtime.readiness import Readiness

_GATHER_SECONDS: Final = 0.5
"""How long calls are held, at most. Where they never cease to come, some are dropped."""
_GOAWAY_SECONDS: Final = 0.05
"""For the GOAWAY frame to leave before the answers do."""
_FINISH_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Drain:
    """The parts that stop, and how long that may take."""

    readiness: Readiness
    streams: OpenStreams
    in_flight: InFlight
    server: grpc.aio.Server
    scoring: Scoring
    corrector: Corrector
    plans: ReversalPlans
    drain_seconds: float
    stop_seconds: float

    async def run(self, forced: asyncio.Event) -> None:
        """Stop. Once `forced` is set, nothing is waited for any more."""
        await self.readiness.stop()
        await wait_unless(forced, self.drain_seconds)
        self.streams.end_all()
        self.plans.stop()
        await self._stop_server(forced)
        await wait_unless(forced, _FINISH_SECONDS, self.in_flight.idle())
        await wait_unless(forced, _FINISH_SECONDS, self.scoring.finish())
        await wait_unless(forced, _FINISH_SECONDS, self.plans.finish())
        await wait_unless(forced, _FINISH_SECONDS, self.corrector.finish())

    async def _stop_server(self, forced: asyncio.Event) -> None:
        with self.in_flight.holding():
            await wait_unless(forced, _GATHER_SECONDS, self.in_flight.quiet())
            stopping = asyncio.create_task(self.server.stop(self.stop_seconds))
            await wait_unless(forced, _GOAWAY_SECONDS)
        # See `end_calls` for what a cancellation would do.
        await wait_unless(forced, self.stop_seconds, asyncio.shield(stopping))
        await end_calls(self.server)


async def end_calls(server: grpc.aio.Server) -> None:
    """Stop a server at once, with whatever calls it has."""
    # Where this is cancelled, every later stop of the server fails.
    ending = asyncio.create_task(server.stop(None))
    await asyncio.wait([ending], timeout=_FINISH_SECONDS)
