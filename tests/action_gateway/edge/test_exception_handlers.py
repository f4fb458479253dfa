"""The handlers of exceptions that are not raised by the gateway itself."""

import json

import pytest
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

import score_client.errors as score
from action_gateway.edge.exception_handlers import HANDLERS

MISSING = {"loc": ("body", "x"), "type": "missing", "msg": "is missing"}
REQUEST = Request({"type": "http", "method": "GET", "path": "/", "headers": []})


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (score.UnavailableError("UNAVAILABLE", "gone"), 503, "unavailable"),
        (score.QuotaExceededError("QUOTA_EXCEEDED", "slower", 7.5), 503, "unavailable"),
        (score.ServiceFaultError("INTERNAL", "secret"), 503, "unavailable"),
        (score.TotalOutOfRangeError("TOTAL_OUT_OF_RANGE", "full"), 409, "score_limit_reached"),
        (score.NotAuthenticatedError("CERTIFICATE_EXPIRED", "ended"), 503, "unavailable"),
        (score.InvalidRequestError("INVALID_FIELD", "secret", {"page_token": "bad"}), 422, "invalid_request"),
        (score.NotAllowedError("NOT_ALLOWED", "secret"), 500, "internal"),
        (HTTPException(404), 404, "not_found"),
        (HTTPException(405, headers={"Allow": "GET"}), 405, "method_not_allowed"),
        (HTTPException(413), 413, "body_too_large"),
        (HTTPException(400, "secret"), 422, "invalid_request"),
        (HTTPException(418, "secret"), 500, "internal"),
        (RequestValidationError([MISSING]), 422, "invalid_request"),
    ],
)
async def test_failures_of_dependencies_become_problems_without_their_details(
    error: Exception, status: int, code: str
) -> None:
    handler = next(HANDLERS[kind] for kind in type(error).__mro__ if kind in HANDLERS)
    response = await handler(REQUEST, error)
    body = json.loads(bytes(response.body))

    assert (response.status_code, body["code"]) == (status, code)
    assert "secret" not in bytes(response.body).decode()
    if isinstance(error, HTTPException) and error.headers:
        assert response.headers["allow"] == "GET"
    if isinstance(error, score.QuotaExceededError):
        assert response.headers["retry-after"] == "8"


async def test_unknown_field_names_are_not_repeated() -> None:
    fault = {"loc": ("body", "proof", "<script>"), "type": "extra_forbidden", "msg": "no"}
    response = await HANDLERS[RequestValidationError](REQUEST, RequestValidationError([fault]))

    assert json.loads(bytes(response.body))["fields"] == {"body.proof": "has a field that is not described"}


async def test_fields_that_the_score_service_rejects_are_named_as_the_client_names_them() -> None:
    faults = {"filter.action_id": "is no id", "page_token": "is none", "reason": "is empty"}
    response = await HANDLERS[score.ScoreClientError](
        REQUEST, score.InvalidRequestError("INVALID_FIELD", "secret", faults)
    )

    assert json.loads(bytes(response.body))["fields"] == {
        "filter.actionId": "is no id",
        "pageToken": "is none",
        "reason": "is empty",
    }
