"""Forgets what time has made worthless: expired sessions, retired tokens, attempts with expired tokens.

In small batches, so that no statement takes long. Several gateways may sweep at once.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from action_gateway.domain.clock import Clock
from action_gateway.errors import UnavailableError
from action_gateway.store.store import Store

_BATCH: Final = 500
_PAUSE_SECONDS: Final = 300.0
_KEPT_AFTER_EXPIRY: Final = timedelta(days=1)
"""Until then a token that was answered rightly is told apart from another one for the same action."""

_log = structlog.get_logger(__name__)


async def sweep(store: Store, now: datetime, *, refresh_lifetime: timedelta) -> dict[str, int]:
    """Forget all that can be forgotten now; tell how much of each. Raises UnavailableError."""
    expired = now - _KEPT_AFTER_EXPIRY
    return {
        "sessions": await _drain(lambda: store.delete_sessions(before=now, limit=_BATCH)),
        "retired_tokens": await _drain(
            lambda: store.delete_retired_tokens(before=now - refresh_lifetime, limit=_BATCH)
        ),
        "action_tokens": await _drain(lambda: store.delete_action_tokens(before=expired, limit=_BATCH)),
    }


async def keep_sweeping(store: Store, clock: Clock, *, refresh_lifetime: timedelta) -> None:
    """Sweep every few minutes, for ever."""
    while True:
        try:
            swept = await sweep(
                store, datetime.fromtimestamp(clock(), UTC), refresh_lifetime=refresh_lifetime
            )
            _log.debug("swept", **swept)
        except UnavailableError:
            _log.debug("sweep_postponed")
        except Exception:  # noqa: BLE001 - what cannot be swept now must not end the sweeping
            _log.exception("sweep_failed")
        await asyncio.sleep(_PAUSE_SECONDS)


async def _drain(delete: Callable[[], Awaitable[int]]) -> int:
    total = 0
    while (deleted := await delete()) == _BATCH:
        total += deleted
    return total + deleted
