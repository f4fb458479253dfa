"""Deletes what has expired: sessions, retired refresh tokens, attempts of action tokens, and more.

In small batches, so that no statement takes long. Several gateways may do it at once.
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

_SUSPICIONS_KEPT: Final = timedelta(days=30)
"""After the last time that something of the kind happened."""

_log = structlog.get_logger(__name__)


async def delete_expired(store: Store, now: datetime, *, refresh_lifetime: timedelta) -> dict[str, int]:
    """Delete all that has expired by now; return the number of rows of each kind. Raises UnavailableError."""
    expired = now - _KEPT_AFTER_EXPIRY
    return {
        "sessions": await _delete_all(lambda: store.delete_sessions(before=now, limit=_BATCH)),
        "retired_tokens": await _delete_all(
            lambda: store.delete_retired_tokens(before=now - refresh_lifetime, limit=_BATCH)
        ),
        "action_tokens": await _delete_all(lambda: store.delete_action_tokens(before=expired, limit=_BATCH)),
        "suspicions": await _delete_all(
            lambda: store.suspicions.delete_old(before=now - _SUSPICIONS_KEPT, limit=_BATCH)
        ),
        "freed_names": await _delete_all(lambda: store.delete_freed_names(before=now, limit=_BATCH)),
    }


async def run_cleanup(store: Store, clock: Clock, *, refresh_lifetime: timedelta) -> None:
    """Clean up every few minutes, for ever."""
    while True:
        try:
            deleted = await delete_expired(
                store, datetime.fromtimestamp(clock(), UTC), refresh_lifetime=refresh_lifetime
            )
            _log.debug("cleaned_up", **deleted)
        except UnavailableError:
            _log.debug("cleanup_postponed")
        except Exception:  # noqa: BLE001 - what cannot be deleted now must not end the cleanup
            _log.exception("cleanup_failed")
        await asyncio.sleep(_PAUSE_SECONDS)


async def _delete_all(delete: Callable[[], Awaitable[int]]) -> int:
    total = 0
    while (deleted := await delete()) == _BATCH:
        total += deleted
    return total + deleted
