"""The description of the API held against a running gateway: what it allows and forbids, and the answers."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import given
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from tests.fixtures.clients.roles import grant
from tests.fixtures.services.gateway import Gateway, Player
from tests.hostile.inputs.fuzzing import fuzzing

Operation = Any
EVENTS = "/api/v1/leaderboard/events"
DOORS = "/api/v1/auth/"
# Data can be as described and still not be a token of ours, or be wrong as an answer.
REJECTIONS = [400, 401, 404, 409, 422]
CONFIG = {
    "checks": {
        "positive_data_acceptance": {"expected-statuses": ["2xx", *REJECTIONS]},
        "negative_data_rejection": {"expected-statuses": [*REJECTIONS, 413]},
    }
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def operations(url: str) -> list[Operation]:
    """Read the description of a gateway. An event stream has no end to wait for."""
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", config=SchemathesisConfig.from_dict(CONFIG))
    found = []
    for result in schema.exclude(path=EVENTS).get_all_operations():
        assert isinstance(result, Ok)
        found.append(result.ok())
    return found


def hold(operation: Operation, mode: GenerationMode, check: Callable[[Any], None], examples: int) -> None:
    """Check some requests of an operation."""

    @fuzzing(examples)
    @given(case=operation.as_strategy(mode))
    def run(case: Any) -> None:
        check(case)

    run()


def takes(operation: Operation, mode: GenerationMode) -> bool:
    """Return whether there are such requests: what has no parameters cannot be asked wrongly."""
    return mode is GenerationMode.POSITIVE or any(
        (operation.body, operation.query, operation.headers, operation.path_parameters)
    )


def has_wrong_body(case: Any) -> bool:
    """Return whether the body is not as described; else a token may be missing, which the test puts back."""
    component = case.meta.components.get(ParameterLocation.BODY)
    return component is not None and component.mode is GenerationMode.NEGATIVE


@pytest.mark.parametrize("mode", GenerationMode)
async def test_every_request_gets_a_described_answer(
    gateway: Gateway, player: Player, mode: GenerationMode
) -> None:
    await grant(gateway, player)

    def check(case: Any) -> None:
        excluded = [] if has_wrong_body(case) else [negative_data_rejection]
        case.call_and_validate(headers=player.headers, excluded_checks=excluded, timeout=20)

    def run() -> None:
        for operation in operations(gateway.url):
            if takes(operation, mode):
                hold(operation, mode, check, 20)

    await asyncio.to_thread(run)


async def test_without_an_access_token_every_request_gets_a_described_answer(gateway: Gateway) -> None:
    def check(case: Any) -> None:
        response = case.call(timeout=20)
        if case.operation.path.startswith("/api") and not case.operation.path.startswith(DOORS):
            assert response.status_code == 401
            assert response.headers["www-authenticate"] == ["Bearer"]
        # Without a token the rest of a request is not looked at.
        case.validate_response(response, excluded_checks=[positive_data_acceptance])

    def run() -> None:
        for operation in operations(gateway.url):
            hold(operation, GenerationMode.POSITIVE, check, 10)

    await asyncio.to_thread(run)


async def test_every_other_method_is_rejected(gateway: Gateway) -> None:
    paths: dict[str, Any] = (await gateway.http.get("/openapi.json")).json()["paths"]
    for path, described in paths.items():
        for method in METHODS:
            if method.lower() not in described:
                response = await gateway.http.request(method, path)
                assert response.status_code == 405, (method, path)
                assert set(response.headers["allow"].lower().split(", ")) == set(described)
                assert response.headers["content-type"] == "application/problem+json"
