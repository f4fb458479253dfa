"""The second port: `/livez`, `/readyz` and `/metrics` in plain HTTP, for probes and scrapers.

It runs in the service's own event loop, so that `/livez` tells whether that one turns. It reads state and
changes nothing. It has no identity check: the port is for the platform, not for callers.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from score_service.process.readiness import Readiness
from score_service.settings import Address

_REQUESTS_MAX = 64
_STOP_SECONDS = 1


def create_app(readiness: Readiness, registry: CollectorRegistry) -> Starlette:
    """Make the application."""

    async def livez(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_request: Request) -> Response:
        body = {"ready": readiness.is_ready, "missing": readiness.missing}
        return JSONResponse(body, status_code=200 if readiness.is_ready else 503)

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)],
    )


def bind_admin(address: Address) -> socket.socket:
    """Take the address to listen on.

    Raises:
        OSError: it cannot be had.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    return socket.create_server((address.host, address.port), family=family)


@asynccontextmanager
async def serve_admin(app: Starlette, listener: socket.socket) -> AsyncIterator[None]:
    """Serve the application, and close the listener at the end."""
    server = _Server(
        uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=_REQUESTS_MAX,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
    )
    running = asyncio.create_task(server.serve(sockets=[listener]), name="admin")
    try:
        yield
    finally:
        server.should_exit = True
        await running


class _Server(uvicorn.Server):
    """A server that leaves the process's signals to the process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
