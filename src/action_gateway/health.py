"""Whether this gateway can serve, as orchestrators ask it.

Alive means that the process answers. Ready means that PostgreSQL has a schema that this code knows, and that
Redis and the score service answer; what is missing is told by name and logged when it changes. The parts are
looked at in the background, so that asking often costs nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Final, Self

import structlog
from prometheus_client import Gauge
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_INTERVAL_SECONDS: Final = 1.0
_CHECK_SECONDS: Final = 2.0

Check = Callable[[], Awaitable[str | None]]
"""Looks at a part that is needed; tells what is missing of it, None if nothing is."""

_log = structlog.get_logger(__name__)


class Readiness:
    """Keeps an eye on the parts. An async context manager: inside, it looks again and again."""

    def __init__(self, checks: Mapping[str, Check], gauge: Gauge) -> None:
        self._checks = checks
        self._gauge = gauge
        self._task: asyncio.Task[None] | None = None
        self.missing: Mapping[str, str] = {"start": "not looked at yet"}
        """What is missing of each part that is not as it should be."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="readiness")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._cancel()

    async def stop(self) -> None:
        """Be not ready from now on."""
        await self._cancel()
        self._tell({"process": "is stopping"})

    async def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            found = await asyncio.gather(*(self._look(name) for name in self._checks))
            self._tell({name: fault for name, fault in zip(self._checks, found, strict=True) if fault})
            await asyncio.sleep(_INTERVAL_SECONDS)

    async def _look(self, name: str) -> str | None:
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                return await self._checks[name]()
        except Exception as error:  # noqa: BLE001 - whatever it is, the part is not there
            _log.debug("check_failed", part=name, exc_info=error)
            return "is not reachable"

    def _tell(self, missing: Mapping[str, str]) -> None:
        if missing != self.missing:
            log = _log.warning if missing else _log.info
            log("not_ready" if missing else "ready", **missing)
        self.missing = missing
        self._gauge.set(not missing)


def health_routes(readiness: Readiness) -> list[Route]:
    """Make `/livez` and `/readyz`."""

    async def livez(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(_: Request) -> Response:
        if readiness.missing:
            return JSONResponse({"status": "not ready", "missing": dict(readiness.missing)}, 503)
        return JSONResponse({"status": "ready"})

    return [Route("/livez", livez), Route("/readyz", readyz)]
