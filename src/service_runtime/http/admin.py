"""The second port: `/livez`, `/readyz` and `/metrics` in plain HTTP, for probes and scrapers.

It runs in the service's own event loop, so that `/livez` answers only while that one turns. It reads state
and changes nothing. It has no identity check: the port is for the platform, not for callers.
"""

from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service_runtime.http.http_listener import ListenerSettings
from service_runtime.readiness import Readiness

LIVE_PATH: Final = "/livez"
READY_PATH: Final = "/readyz"
LISTENER: Final = ListenerSettings(connections_max=100, stop_seconds=1, message_bytes_max=0)


def create_app(readiness: Readiness, registry: CollectorRegistry) -> Starlette:
    """Make the application behind the second port."""

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return Starlette(routes=[*probe_routes(readiness), Route("/metrics", metrics)])


def probe_routes(readiness: Readiness) -> list[Route]:
    """Make `/livez` and `/readyz`.

    `/livez` answers `{"status": "alive"}`. `/readyz` answers 200 with `{"status": "ready", "missing": {}}`,
    or 503 with `"not ready"`; `missing` says what is wrong with each part, also while ready.
    """

    async def livez(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(_: Request) -> Response:
        status, code = ("ready", 200) if readiness.is_ready else ("not ready", 503)
        return JSONResponse({"status": status, "missing": dict(readiness.missing)}, code)

    return [Route(LIVE_PATH, livez), Route(READY_PATH, readyz)]
