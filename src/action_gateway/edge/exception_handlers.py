"""The handlers that turn every exception of a request into a problem document.

Whatever is not in the table of `problems` is our fault: it is logged whole and leaves as one fixed text. What
a client sent is never sent back to it.
"""

from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from action_gateway import errors
from action_gateway.edge.problems import answer
from score_client.errors import ScoreClientError

_MAX_FIELDS: Final = 20

Handler = Callable[[Request, Any], Coroutine[Any, Any, Response]]

_log = structlog.get_logger(__name__)

_FRAMEWORK: Final[Mapping[int, type[errors.GatewayError]]] = {
    HTTPStatus.NOT_FOUND: errors.NotFoundError,
    HTTPStatus.METHOD_NOT_ALLOWED: errors.MethodNotAllowedError,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: errors.BodyTooLargeError,
    HTTPStatus.REQUEST_TIMEOUT: errors.BodyTooSlowError,
}


def answer_unknown(error: Exception) -> Response:
    """Log an unexpected failure, and answer without details."""
    _log.error("request_failed", exc_info=error)
    return answer(errors.GatewayError())


async def _answer_ours(_: Request, error: errors.GatewayError) -> Response:
    return answer_unknown(error) if type(error) is errors.GatewayError else answer(error)


async def _answer_score(request: Request, error: ScoreClientError) -> Response:
    ours = errors.translate(error)
    ours.__cause__ = error
    return await _answer_ours(request, ours)


async def _answer_framework(_: Request, error: HTTPException) -> Response:
    if error.status_code == HTTPStatus.BAD_REQUEST:
        return answer(errors.InvalidRequestError({"body": "is not JSON"}))
    response = answer(_FRAMEWORK.get(error.status_code, errors.GatewayError)())
    response.headers.update(error.headers or {})
    return response


async def _answer_validation(_: Request, error: RequestValidationError) -> Response:
    faults = error.errors()[:_MAX_FIELDS]
    return answer(errors.InvalidRequestError({_locate(fault): _describe(fault) for fault in faults}))


HANDLERS: Final[dict[int | type[Exception], Handler]] = {
    errors.GatewayError: _answer_ours,
    ScoreClientError: _answer_score,
    HTTPException: _answer_framework,
    RequestValidationError: _answer_validation,
}


def _locate(fault: Mapping[str, Any]) -> str:
    # The name of a field that is not described comes from the client; its parent says enough.
    location = fault["loc"][:-1] if fault["type"] == "extra_forbidden" else fault["loc"]
    return ".".join(str(part) for part in location if isinstance(part, str)) or "body"


def _describe(fault: Mapping[str, Any]) -> str:
    match fault["type"]:
        case "json_invalid":
            return "is not JSON"
        case "extra_forbidden":
            return "has a field that is not described"
        case "string_pattern_mismatch":
            return "has a character that is not allowed there"
    return str(fault["msg"]).removeprefix("Value error, ")
