"""The application: every route, every layer around them, and the description of the API.

This is a list; what the parts do stands in their modules, and `parts.py` opens them.
"""

from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from action_gateway.accounts.keys import KeyFolder
from action_gateway.edge.admission import Admission
from action_gateway.edge.exception_handlers import HANDLERS
from action_gateway.edge.guards import AnswerHeaders, RequestGuard
from action_gateway.edge.operations import DirectCalls
from action_gateway.edge.problems import Problem, describe
from action_gateway.edge.request_telemetry import RequestTelemetry
from action_gateway.errors import GatewayError
from action_gateway.process.parts import Parts
from action_gateway.routes import moderation_schemas, schemas
from action_gateway.routes.accounts import AccountRoutes
from action_gateway.routes.actions import ActionRoutes
from action_gateway.routes.moderation import ModerationRoutes
from action_gateway.routes.sessions import SessionRoutes
from action_gateway.routes.tickets import TicketRoutes
from action_gateway.streams.events import PATH as EVENTS_PATH
from service_runtime.http.admin import LIVE_PATH, READY_PATH, probe_routes

API_PREFIX: Final = "/api/v1"
_JWKS_SECONDS: Final = 300
_REQUEST_HEADERS: Final = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "Last-Event-ID",
    "X-Request-Id",
)
"""What pages of other origins may send."""
_DESCRIBED: Final[Sequence[tuple[type[BaseModel], JsonSchemaMode]]] = (
    (schemas.Registration, "validation"),
    (schemas.Credentials, "validation"),
    (schemas.RefreshToken, "validation"),
    (schemas.Deletion, "validation"),
    (schemas.Start, "validation"),
    (schemas.Completion, "validation"),
    (schemas.Performing, "validation"),
    (schemas.ScoreUpdate, "validation"),
    (moderation_schemas.NewReversal, "validation"),
    (moderation_schemas.NewPlan, "validation"),
    (moderation_schemas.PlanApply, "validation"),
    (moderation_schemas.VisibilityChange, "validation"),
    (moderation_schemas.Dismissal, "validation"),
    (Problem, "serialization"),
)


def create_app(parts: Parts) -> ASGIApp:
    """Make the application behind the public port."""
    package = Path(__file__).parents[1]
    files = [*_file_routes("/docs", package / "docs"), *_file_routes("", package / "page")]
    actions = ActionRoutes(parts.actions, parts.suspicions)
    tickets = TicketRoutes(parts.instants, parts.score_tickets, parts.suspicions)
    handlers = {**HANDLERS, GatewayError: parts.suspicions.before(HANDLERS[GatewayError])}
    app = FastAPI(
        title="Laurel",
        summary="Finished actions become points, exactly once, and everyone sees the leaderboard move.",
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=handlers,
        # Its spans would last as long as a socket, and tell query strings.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.access_tokens, app.state.suspicions = parts.access_tokens, parts.suspicions
    app.state.score_tickets = parts.score_tickets
    app.state.moderators = parts.moderators
    for router in (
        SessionRoutes(parts.sessions, registration_enabled=parts.settings.registration_enabled).router(),
        AccountRoutes(parts.accounts).router(),
        actions.router(),
        tickets.router(),
        parts.leaderboard.router(),
        parts.sockets.router(),
        parts.events.router(),
        ModerationRoutes(parts.moderation).router(),
    ):
        app.include_router(router, prefix=API_PREFIX)
    _add_jwks(app, parts.access_keys)
    app.router.routes.extend(probe_routes(parts.readiness))
    app.router.routes.extend(files)
    app.router.routes.append(Route("/", _tell_methods, methods=["OPTIONS"]))
    _describe_models(app)
    calls = actions.direct_calls() | tickets.direct_calls()
    operations = {API_PREFIX + path: operation for path, operation in calls.items()}
    direct = DirectCalls(app, parts.access_tokens, operations, handlers)
    return _add_layers(direct, parts, [file.path for file in files])


def _add_layers(app: ASGIApp, parts: Parts, files: Sequence[str]) -> ASGIApp:
    """Put the layers around the application, the innermost first. Around FastAPI's own they cost half."""
    app = RequestTelemetry(RequestGuard(app), parts.metrics)
    app = Admission(
        app,
        parts.metrics.admission,
        capacity=parts.settings.max_requests,
        holds=not parts.settings.trusted_proxies,
        # A page that lacks one of its files is broken, and they cost little.
        open_paths=(LIVE_PATH, READY_PATH, API_PREFIX + EVENTS_PATH, *files),
    )
    if parts.settings.allowed_origins:
        app = CORSMiddleware(
            app,
            allow_origins=parts.settings.allowed_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=_REQUEST_HEADERS,
            expose_headers=["Retry-After", "X-Request-Id"],
            max_age=600,
        )
    return AnswerHeaders(app, lambda: parts.readiness.is_stopping)


def _add_jwks(app: FastAPI, keys: KeyFolder) -> None:
    @app.get("/.well-known/jwks.json", tags=["sessions"], responses=describe([]))
    async def get_jwks() -> JSONResponse:
        """Get the public keys of the access tokens, as a JSON Web Key Set."""
        headers = {"Cache-Control": f"public, max-age={_JWKS_SECONDS}"}
        return JSONResponse(keys.to_jwks(), headers=headers)


async def _tell_methods(_: Request) -> Response:
    """Answer what HAProxy asks by default to learn whether a server is well (`option httpchk`)."""
    return Response(status_code=HTTPStatus.NO_CONTENT, headers={"Allow": "GET, HEAD, OPTIONS"})


def _file_routes(prefix: str, folder: Path) -> list[Route]:
    """Serve the files of a folder, each by a route of its own: a mount would hide the methods of others."""
    files = StaticFiles(directory=folder)

    def serve(name: str) -> Route:
        async def get_file(request: Request) -> Response:
            response = await files.get_response(name, request.scope)
            response.headers["Cache-Control"] = "no-cache"
            return response

        path = f"{prefix}/{name}".removesuffix("/index.html")
        return Route(path or "/", get_file)

    names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    return [serve(name) for name in names]


def _describe_models(app: FastAPI) -> None:
    """Add the models to the description that it refers to by name only."""

    def describe_api() -> dict[str, Any]:
        if app.openapi_schema is None:
            _, definitions = models_json_schema(_DESCRIBED, ref_template="#/components/schemas/{model}")
            described = get_openapi(
                title=app.title,
                summary=app.summary,
                version=app.version,
                routes=app.routes,
                tags=app.openapi_tags,
            )
            described["components"]["schemas"] |= definitions["$defs"]
            app.openapi_schema = described
        return app.openapi_schema

    app.openapi = describe_api  # type: ignore[method-assign]  # As FastAPI documents it.
