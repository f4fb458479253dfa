"""What the log lines of a request say of it, gathered while it is served."""

from collections.abc import MutableMapping
from typing import Any

import structlog

from service_runtime.telemetry.tracing import current_span, ids_of


def begin_request(request_id: str, ids: dict[str, str]) -> None:
    """Forget what was noted before, and note the ids of this request and of its trace."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id, **ids)


def note_user(user_id: str) -> None:
    """Put the user into what is logged of this request from here on."""
    structlog.contextvars.bind_contextvars(user_id=user_id)


def find_user() -> str | None:
    """Return the user of this request, as far as it was noted."""
    user_id: str | None = structlog.contextvars.get_contextvars().get("user_id")
    return user_id


def note_action(action_id: str) -> None:
    """Put the action into what is logged of this request from here on."""
    structlog.contextvars.bind_contextvars(action_id=action_id)


def note_problem(code: str) -> None:
    """Put the code of the problem that the request is answered with into its log line."""
    structlog.contextvars.bind_contextvars(problem=code)


def find_problem() -> str | None:
    """Return the code of the problem that this request was answered with; None if there is none."""
    code: str | None = structlog.contextvars.get_contextvars().get("problem")
    return code


def find_trace_id() -> str | None:
    """Return the W3C trace id of this request, 32 hexadecimal digits; None outside of requests."""
    trace_id: str | None = structlog.contextvars.get_contextvars().get("trace_id")
    return trace_id


def add_request_fields(
    logger: object, level: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Add to an event what was noted of the request, and the ids of the span that it belongs to."""
    event = structlog.contextvars.merge_contextvars(logger, level, event)
    event.update(ids_of(current_span()))
    return event
