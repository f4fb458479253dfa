"""Bodies of requests: JSON, described by a model, and read only after the caller is known."""

from collections.abc import Awaitable, Callable
from email.message import Message
from typing import Any, Final, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from action_gateway.errors import (
    BodyTooLargeError,
    BodyTooSlowError,
    GatewayError,
    InvalidRequestError,
    RateLimitedError,
    UnsupportedMediaTypeError,
)

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
        if not _is_json(request.headers.get("content-type", "")):
            raise UnsupportedMediaTypeError
        try:
            return model.model_validate_json(await request.body())
        except ValidationError as error:
            faults = error.errors(include_url=False, include_context=False, include_input=False)
            raise RequestValidationError(
                [{**fault, "loc": ("body", *fault["loc"])} for fault in faults]
            ) from None

    return read_body


def describe_body(model: type[BaseModel]) -> dict[str, Any]:
    """Describe such a body for OpenAPI."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _is_json(content_type: str) -> bool:
    message = Message()
    message["content-type"] = content_type
    return content_type != "" and message.get_content_type() == "application/json"
