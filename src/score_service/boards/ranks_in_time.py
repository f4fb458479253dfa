"""Ranks for the answers of what was written already: they are waited for only so long."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import structlog

from score_service.errors import OverloadedError, ProjectionUnavailableError, RecordUnavailableError
from service_runtime.telemetry.logs import error_fields

Ranks: TypeAlias = Mapping[str, int]
"""By user, 1 for the best; without those that are not known."""

_log = structlog.get_logger(__name__)


async def find_in_time(board_id: str, seconds: float, find_ranks: Callable[[], Awaitable[Ranks]]) -> Ranks:
    """Find ranks, but wait neither for an unavailable store, nor for a long ledger to be projected.

    Whatever fails is logged, and there are no ranks then: what was written stands all the same.
    """
    try:
        async with asyncio.timeout(seconds):
            return await find_ranks()
    except ProjectionUnavailableError:
        pass  # That Redis is unavailable is logged where it is found out, not once a commit.
    except (OverloadedError, RecordUnavailableError, TimeoutError) as error:
        _log.warning("ranks_unavailable", board_id=board_id, **error_fields(error))
    except Exception:  # noqa: BLE001 - Logged whole; what was written stands all the same.
        _log.exception("ranks_unavailable", board_id=board_id)
    return {}
