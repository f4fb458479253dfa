"""Puts the relay together and runs it until a signal.

A stop has an order: not ready; no attempt begins, and those under way end; how far receivers are is kept, and
other processes may go on at once. A second signal ends the waiting.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from score_client import ClientCredentials, CredentialsError, ScoreClient, ScoreClientError
from score_relay.delivery.deliveries import Deliveries
from score_relay.delivery.delivery import Delivery
from score_relay.delivery.sender import Sender
from score_relay.errors import RelayError
from score_relay.metrics import Metrics
from score_relay.receivers import load_receivers
from score_relay.settings import ServeSettings
from score_relay.store.store import REQUIRED_REVISION, Store
from service_runtime.errors import SetupError
from service_runtime.http.admin import LISTENER as ADMIN_LISTENER
from service_runtime.http.admin import create_app
from service_runtime.http.http_listener import address_of, bind
from service_runtime.http.http_listener import serve as serve_http
from service_runtime.lifecycle import StopSignals, run_until_stopped, wait_unless
from service_runtime.readiness import Check, Readiness
from service_runtime.settings import Address

_CHECK_SECONDS: Final = 1.0
_STORE: Final = "store"


@dataclass(frozen=True, slots=True)
class Relay:
    """A relay that delivers."""

    admin_address: Address
    readiness: Readiness
    deliveries: Deliveries
    settings: ServeSettings

    @property
    def addresses(self) -> dict[str, str]:
        """Where it really listens."""
        return {"admin": str(self.admin_address)}

    async def stop(self, forced: asyncio.Event) -> None:
        """Begin no other attempt, and wait for those that are under way."""
        await self.readiness.stop()
        await wait_unless(forced, self.settings.stop_seconds, self.deliveries.finish())


async def serve(settings: ServeSettings) -> None:
    """Deliver until SIGTERM or SIGINT; the second of them forces an immediate stop."""
    await run_until_stopped(run(settings), StopSignals(), settings.ready_file)


@asynccontextmanager
async def run(settings: ServeSettings) -> AsyncIterator[Relay]:
    """Deliver inside the block, whether or not anything that is needed is there yet.

    Raises:
        SetupError: receivers, secrets or certificates are faulty, or the address cannot be bound.
    """
    receivers = load_receivers(settings.receivers_file)
    metrics = Metrics(receiver.name for receiver in receivers)
    async with AsyncExitStack() as stack:
        bound = stack.enter_context(bind(settings.admin_listen))
        store = await stack.enter_async_context(Store.open(settings.pool))
        client = await _open_client(stack, settings)
        deliveries = list[Delivery]()
        for receiver in receivers:
            sender = await stack.enter_async_context(Sender.open(receiver))
            deliveries += [
                Delivery(
                    receiver,
                    board_id,
                    client=client,
                    store=store,
                    sender=sender,
                    metrics=metrics,
                    source=settings.source,
                )
                for board_id in receiver.boards
            ]
        checks = _checks_of(store, client)
        readiness = Readiness(
            checks, metrics.ready, required=_STORE, unavailable=(RelayError, ScoreClientError)
        )
        metrics.follow_parts(checks, readiness.has)
        await stack.enter_async_context(readiness.running(_CHECK_SECONDS))
        await stack.enter_async_context(
            serve_http(create_app(readiness, metrics.registry), bound, ADMIN_LISTENER)
        )
        running = await stack.enter_async_context(Deliveries(deliveries, store, metrics).running())
        yield Relay(address_of(bound), readiness, running, settings)


async def _open_client(stack: AsyncExitStack, settings: ServeSettings) -> ScoreClient:
    files = (settings.score_ca_file, settings.score_certificate_file, settings.score_key_file)
    client = ScoreClient(
        settings.score_target,
        credentials=ClientCredentials(*files),
        server_name=settings.score_server_name,
    )
    try:
        return await stack.enter_async_context(client)
    except CredentialsError as error:
        raise SetupError(
            [f"the certificate for the score service cannot be used: {error.message}"]
        ) from error


def _checks_of(store: Store, client: ScoreClient) -> Mapping[str, Check]:
    """Make the checks. Without the score service nothing comes, and everything goes on by itself."""

    async def check_store() -> str | None:
        schema = await store.read_schema()
        return schema.find_fault(REQUIRED_REVISION, "score-relay")

    async def check_score_service() -> str | None:
        await client.ping()
        return None

    return {_STORE: check_store, "score_service": check_score_service}
