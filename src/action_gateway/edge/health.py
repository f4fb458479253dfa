"""Whether this gateway can serve, as orchestrators ask it.

Alive means that the process answers. What is missing is told by name and logged when it changes. The parts
are looked at in the background, so that asking often costs nothing.

Invariants, on both ports alike:
- Not ready until every part has been there: PostgreSQL with a schema that this code knows, Redis, the score
  service, and the leaderboard that is read from it.
- After that only PostgreSQL, or the stop, makes it not ready. Without Redis players play on under local
  limits, and without the score service they get problems that say when to come again. Taking every replica
  out of balance would turn both into refused connections. What is missing is still told, with status 200.
- Once it is stopping, it is never ready again.
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

PATHS: Final = ("/livez", "/readyz")
NEEDED_ALWAYS: Final = "database"
_INTERVAL_SECONDS: Final = 1.0
_START_SECONDS: Final = 0.2
"""Between two looks, as long as it was never ready."""
_CHECK_SECONDS: Final = 2.0
_AWAY: Final = "is not reachable"

Check = Callable[[], Awaitable[str | None]]
"""Looks at a part that is needed; tells what is missing of it, None if nothing is."""

_log = structlog.get_logger(__name__)


class Readiness:
    """Keeps an eye on the parts. An async context manager: inside, it looks again and again."""

    def __init__(self, checks: Mapping[str, Check], gauge: Gauge) -> None:
        self._checks = checks
        self._gauge = gauge
        self._task: asyncio.Task[None] | None = None
        self._started = False
        self._stopping = False
        self.missing: Mapping[str, str] = dict.fromkeys(checks, "was not looked at yet")
        """What is missing of each part that is not as it should be."""

    @property
    def is_ready(self) -> bool:
        """Tell whether players should come here."""
        return self._started and not self._stopping and NEEDED_ALWAYS not in self.missing

    @property
    def is_stopping(self) -> bool:
        """Tell whether the process is about to end."""
        return self._stopping

    def has(self, part: str) -> bool:
        """Tell whether a part was there at the last look."""
        return part not in self.missing

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
        self._stopping = True  # A library may lose the cancellation, and the loop must end all the same.
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while not self._stopping:
            found = await asyncio.gather(*(self._look(name) for name in self._checks))
            if self._stopping:
                return
            self._tell({name: fault for name, fault in zip(self._checks, found, strict=True) if fault})
            await asyncio.sleep(_INTERVAL_SECONDS if self._started else _START_SECONDS)

    async def _look(self, name: str) -> str | None:
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                return await self._checks[name]()
        except Exception as error:  # noqa: BLE001 - whatever it is, the part is not there
            log = _log.debug if self.missing.get(name) == _AWAY else _log.warning  # Once is enough.
            log("check_failed", part=name, kind=type(error).__name__, error=str(error).partition("\n")[0])
            return _AWAY

    def _tell(self, missing: Mapping[str, str]) -> None:
        changed, self.missing = missing != self.missing, missing
        self._started = self._started or not missing
        self._gauge.set(self.is_ready)
        if changed:
            log = _log.warning if missing else _log.info
            log("ready" if self.is_ready else "not_ready", **missing)


def health_routes(readiness: Readiness) -> list[Route]:
    """Make `/livez` and `/readyz`."""

    async def livez(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(_: Request) -> Response:
        report: dict[str, object] = {"status": "ready" if readiness.is_ready else "not ready"}
        if readiness.missing:
            report["missing"] = dict(readiness.missing)
        return JSONResponse(report, 200 if readiness.is_ready else 503)

    return [Route(path, endpoint) for path, endpoint in zip(PATHS, (livez, readyz), strict=True)]
