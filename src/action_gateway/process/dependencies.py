"""The services a gateway depends on: PostgreSQL, Redis and the score service.

All of them may be unavailable meanwhile; what cannot be used at all is a SetupError.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from action_gateway.limits.redis_storage import Counters, open_counters
from action_gateway.settings import ServeSettings
from action_gateway.store.store import Store
from score_client.client import ScoreClient
from score_client.errors import CredentialsError
from score_client.transport.credentials import ClientCredentials
from service_runtime.errors import SetupError

_STATEMENTS_WAITING_MAX: Final = 200
_STATEMENT_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The clients of those services."""

    store: Store
    counters: Counters
    score_client: ScoreClient


@asynccontextmanager
async def open_dependencies(settings: ServeSettings) -> AsyncIterator[Dependencies]:
    """Open the clients. Raises SetupError if the certificate for the score service cannot be used."""
    pool = replace(settings.pool, waiting_max=_STATEMENTS_WAITING_MAX, statement_seconds=_STATEMENT_SECONDS)
    store = Store.open(pool)
    counters = open_counters(settings.redis_access, settings.redis_prefix, settings.redis_timeout_seconds)
    async with AsyncExitStack() as stack:
        yield Dependencies(
            await stack.enter_async_context(store),
            await stack.enter_async_context(counters),
            await _open_score_client(stack, settings),
        )


async def _open_score_client(stack: AsyncExitStack, settings: ServeSettings) -> ScoreClient:
    credentials = ClientCredentials(
        settings.score_ca_file, settings.score_certificate_file, settings.score_key_file
    )
    client = ScoreClient(
        settings.score_target,
        credentials=credentials,
        timeout=settings.score_timeout_seconds,
        server_name=settings.score_server_name,
    )
    try:
        return await stack.enter_async_context(client)
    except CredentialsError as error:
        raise SetupError(
            [f"the certificate for the score service cannot be used: {error.message}"]
        ) from error
