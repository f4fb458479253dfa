"""Operations with a JSON body: described by a model, and read only after the caller is known.

The busiest of them are called directly. What FastAPI does around an endpoint takes several times as long as
finding the caller, the body and a header, which is all they want of it. FastAPI has the same endpoints,
describes them, and answers what is no such request, so that there is one API and one code behind it.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from functools import partial
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Header
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.datastructures import Headers
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from action_gateway.accounts.tokens import AccessTokens
from action_gateway.edge.authentication import identify
from action_gateway.edge.exception_handlers import Handler
from action_gateway.edge.problems import describe
from action_gateway.errors import (
    BodyTooLargeError,
    BodyTooSlowError,
    GatewayError,
    InvalidRequestError,
    RateLimitedError,
    UnsupportedMediaTypeError,
)

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]+$",
        description="lets the request be repeated: the same key and body get the first answer again. "
        "A random value, such as a UUID",
    ),
]
_KEY: Final[TypeAdapter[str | None]] = TypeAdapter(IdempotencyKey)
_KEY_HEADER: Final = "idempotency-key"
_JSON: Final = "application/json"

FAILURES: Final[tuple[type[GatewayError], ...]] = (
    InvalidRequestError,
    UnsupportedMediaTypeError,
    BodyTooLargeError,
    BodyTooSlowError,
    RateLimitedError,
)
"""What reading a body may raise."""

_Model = TypeVar("_Model", bound=BaseModel)


def body_of(model: type[_Model]) -> Callable[[Request], Awaitable[_Model]]:
    """Make a dependency that reads the body. Dependencies named before it in a route come before it."""

    async def read_body(request: Request) -> _Model:
        return await _read_body(request, model)

    return read_body


def describe_body(model: type[BaseModel]) -> dict[str, Any]:
    """Describe such a body for OpenAPI."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {_JSON: {"schema": schema}}}}


def add_operation(
    router: APIRouter,
    path: str,
    endpoint: Callable[..., Any],
    body: type[BaseModel],
    rejections: Iterable[type[GatewayError]],
    *,
    method: str = "POST",
    status_code: int = 200,
) -> None:
    """Add an operation with a body to a router, described with all that it may be rejected with."""
    router.add_api_route(
        path,
        endpoint,
        methods=[method],
        status_code=status_code,
        openapi_extra=describe_body(body),
        responses=describe([*FAILURES, *rejections]),
    )


def find_address(request: Request) -> str:
    """Return the address of the client; the empty text where there is none."""
    return request.client.host if request.client else ""


@dataclass(frozen=True, slots=True)
class Operation:
    """An endpoint that takes the caller, a body and perhaps an `Idempotency-Key`, in this order."""

    endpoint: Callable[..., Awaitable[BaseModel]]
    body: type[BaseModel]
    takes_key: bool = False
    identify: Callable[[Headers], object] | None = None
    """How to find the caller; None for one with an access token."""


class DirectCalls:
    """Calls operations directly; all else goes on to FastAPI. A layer of the application."""

    def __init__(
        self,
        app: ASGIApp,
        access_tokens: AccessTokens,
        operations: Mapping[str, Operation],
        handlers: Mapping[int | type[Exception], Handler],
    ) -> None:
        """Take the operations that are POSTed to, by path, and what answers their exceptions."""
        self._app = app
        self._identify = partial(identify, access_tokens)
        self._operations = operations
        self._calling = ExceptionMiddleware(self._call, handlers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["path"] in self._operations and scope["method"] == "POST":
            await self._calling(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        operation = self._operations[scope["path"]]
        scope["endpoint"] = operation.endpoint
        request = Request(scope, receive)
        caller = (operation.identify or self._identify)(request.headers)
        body = await _read_body(request, operation.body)
        key = (_read_key(request),) if operation.takes_key else ()
        answer = await operation.endpoint(caller, body, *key)
        await Response(answer.model_dump_json(by_alias=True), media_type=_JSON)(scope, receive, send)


async def _read_body(request: Request, model: type[_Model]) -> _Model:
    if not _is_json(request.headers.get("content-type", "")):
        raise UnsupportedMediaTypeError
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        raise _locate(error, "body") from None


def _read_key(request: Request) -> str | None:
    if (given := request.headers.get(_KEY_HEADER)) is None:
        return None
    try:
        return _KEY.validate_python(given)
    except ValidationError as error:
        raise _locate(error, "header", _KEY_HEADER) from None


def _locate(error: ValidationError, *place: str) -> RequestValidationError:
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return RequestValidationError([{**fault, "loc": (*place, *fault["loc"])} for fault in faults])


def _is_json(content_type: str) -> bool:
    if content_type == _JSON:
        return True
    message = Message()
    message["content-type"] = content_type
    return content_type != "" and message.get_content_type() == _JSON
