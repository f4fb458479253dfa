"""Asks the stores again, while one of them does not answer in time, so that bulk work goes on where it was.

Only what may be asked twice is asked so: pages that are read, steps that are counted.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

import structlog

from score_service.errors import ProjectionUnavailableError, RecordUnavailableError
from service_runtime.telemetry.logs import error_fields

_P = ParamSpec("_P")
_T = TypeVar("_T")
_log = structlog.get_logger(__name__)


class RetryPolicy:
    """How long bulk work waits for a store that is unavailable."""

    def __init__(self, seconds: float = 60.0, *, pause: float = 0.5) -> None:
        """Take for how many seconds one question is asked again, and how long to rest in between.

        What was loaded lives for longer than the default, see `generation.py`.
        """
        self._seconds = seconds
        self._pause = pause
        self.repeated = 0
        """Questions asked again since the start."""

    async def ask(self, question: Callable[_P, Awaitable[_T]], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Ask until there is an answer.

        Raises:
            ProjectionUnavailableError: Redis has been unavailable all the time.
            RecordUnavailableError: PostgreSQL has been unavailable all the time.
        """
        clock = asyncio.get_running_loop().time
        give_up_at = clock() + self._seconds
        while True:
            try:
                return await question(*args, **kwargs)
            except (ProjectionUnavailableError, RecordUnavailableError) as error:
                if clock() + self._pause >= give_up_at:
                    raise
                _log.warning("bulk_step_repeated", **error_fields(error))
            self.repeated += 1
            await asyncio.sleep(self._pause)
