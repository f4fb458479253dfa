"""All deliveries of a process: a task for each, and one that keeps how far they are."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final, Self

import structlog

from score_relay.delivery.delivery import Delivery
from score_relay.errors import StoreUnavailableError
from score_relay.metrics import Metrics
from score_relay.store.store import Store
from service_runtime.lifecycle import end_tasks

_SAVE_SECONDS: Final = 1.0
"""What is delivered in between is sent again where the process is killed."""
_COUNT_SECONDS: Final = 30.0

_log = structlog.get_logger(__name__)


class Deliveries:
    """The deliveries of a process."""

    def __init__(self, deliveries: Iterable[Delivery], store: Store, metrics: Metrics) -> None:
        self._deliveries = tuple(deliveries)
        self._store = store
        self._metrics = metrics
        for name in {delivery.route.receiver for delivery in self._deliveries}:
            own = [delivery for delivery in self._deliveries if delivery.route.receiver == name]
            metrics.follow_receiver(name, partial(_find_lag, own), partial(_count_stopped, own))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Deliver inside the block."""
        tasks = [
            asyncio.create_task(work, name=name)
            for name, work in (
                ("positions", self._keep_positions()),
                ("dead_letters", self._count_dead_letters()),
                *(("delivery", delivery.run()) for delivery in self._deliveries),
            )
        ]
        try:
            yield self
        finally:
            await end_tasks(*tasks)
            with suppress(StoreUnavailableError):  # What is not kept is sent again.
                await self._save(last=True)

    async def finish(self) -> None:
        """Begin no other attempt, and wait for those that are under way."""
        for delivery in self._deliveries:
            delivery.stop()
        await asyncio.gather(*(delivery.idle.wait() for delivery in self._deliveries))

    async def _keep_positions(self) -> None:
        while True:
            await asyncio.sleep(_SAVE_SECONDS)
            try:
                await self._save()
            except StoreUnavailableError:
                pass  # That is logged where it is found out.
            except Exception:  # noqa: BLE001 - Logged whole; what is not kept is sent again.
                _log.exception("positions_not_kept")

    async def _save(self, *, last: bool = False) -> None:
        held = [delivery for delivery in self._deliveries if delivery.is_held]
        if not held:
            return
        asked_at = asyncio.get_running_loop().time()
        positions = {delivery.route: delivery.unsaved for delivery in held}
        kept = await self._store.save(positions, last=last)
        for delivery in held:
            if delivery.route in kept:
                delivery.keep(positions[delivery.route], asked_at)
            else:
                delivery.lose()

    async def _count_dead_letters(self) -> None:
        names = {delivery.route.receiver for delivery in self._deliveries}
        while True:
            with suppress(StoreUnavailableError):
                letters = await self._store.count_dead_letters()
                for name in names:
                    self._metrics.dead_letters.labels(name).set(letters.get(name, 0))
            await asyncio.sleep(_COUNT_SECONDS)


def _find_lag(deliveries: Iterable[Delivery]) -> float:
    return max(delivery.lag_seconds for delivery in deliveries)


def _count_stopped(deliveries: Iterable[Delivery]) -> float:
    return sum(delivery.is_stopped for delivery in deliveries)
