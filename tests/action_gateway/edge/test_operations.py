"""Operations that are called directly: nobody can tell them from those that FastAPI calls."""

from typing import Any

import httpx2 as httpx
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp
from tests.fixtures.services.gateway import Gateway, Player

from action_gateway.edge.exception_handlers import HANDLERS
from action_gateway.edge.operations import DirectCalls
from action_gateway.process.app import API_PREFIX
from action_gateway.routes.actions import ActionRoutes

START, COMPLETE = "/actions/start", "/actions/complete"
BODIES: tuple[bytes, ...] = (
    b"",
    b"{",
    b"[]",
    b"{}",
    b'{"actionId": "quick"}',
    b'{"actionId": "no/such"}',
    b'{"actionId": "quick", "x": 1}',
    b'{"actionId": 7}',
    b'{"actionId": "nothing"}',
    b'{"actionToken": "x", "proof": {"answer": "yes"}}',
    b'{"actionToken": "", "proof": {"answer": "yes", "y": 1}}',
    b'{"actionToken": "x", "proof": {"answer": "' + b"x" * 1001 + b'"}}',
    b'{"actionToken": "x", "proof": []}',
)
KEYS: tuple[list[tuple[str, bytes]], ...] = (
    [],
    [("Idempotency-Key", b"k1")],
    [("Idempotency-Key", b"")],
    [("idempotency-key", b"a b")],
    [("Idempotency-Key", b"x" * 256)],
    [("Idempotency-Key", b"\xe9")],
    [("Idempotency-Key", b"good"), ("Idempotency-Key", b"b d")],
)
TYPES: tuple[str | None, ...] = (
    None,
    "application/json",
    "Application/JSON; charset=utf-8",
    "application/json;",
    "application/problem+json",
    "text/plain",
)


def make_client(app: ASGIApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://laurel" + API_PREFIX)


@pytest.fixture
def ways(gateway: Gateway) -> tuple[httpx.AsyncClient, httpx.AsyncClient]:
    """Return clients of the same operations: called by FastAPI, and directly."""
    parts = gateway.running.parts
    routes = ActionRoutes(parts.actions, parts.suspicions)
    app = FastAPI(exception_handlers=HANDLERS)
    app.state.access_tokens = parts.access_tokens
    app.include_router(routes.router(), prefix=API_PREFIX)
    operations = {API_PREFIX + path: operation for path, operation in routes.direct_calls().items()}
    return make_client(app), make_client(DirectCalls(app, parts.access_tokens, operations, HANDLERS))


async def see(client: httpx.AsyncClient, path: str, **request: Any) -> tuple[int, dict[str, str], Any]:
    """Send a request; return all of the answer but what is new each time."""
    response = await client.post(path, **request)
    body = response.json()
    for name in ("actionToken", "expiresAt"):
        body.pop(name, None)
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return response.status_code, headers, body


@pytest.mark.parametrize("path", [START, COMPLETE])
async def test_no_request_is_answered_otherwise(
    path: str, ways: tuple[httpx.AsyncClient, httpx.AsyncClient], player: Player
) -> None:
    json_type = ("Content-Type", b"application/json")
    authorization = ("Authorization", player.headers["Authorization"].encode())
    requests: list[dict[str, Any]] = [
        *({"content": body, "headers": [authorization, json_type]} for body in BODIES),
        *({"content": BODIES[9], "headers": [authorization, json_type, *key]} for key in KEYS),
        *(
            {"content": BODIES[4], "headers": [authorization, *([("Content-Type", name)] if name else [])]}
            for name in TYPES
        ),
        {"content": BODIES[4], "headers": [json_type]},
        {"content": BODIES[4], "headers": [json_type, authorization, authorization]},
        {"content": BODIES[4], "headers": [json_type, ("Authorization", b"Bearer x")]},
    ]
    for request in requests:
        by_fastapi, directly = [await see(client, path, **request) for client in ways]

        assert directly == by_fastapi, request


async def test_a_payment_looks_the_same(
    ways: tuple[httpx.AsyncClient, httpx.AsyncClient], player: Player
) -> None:
    answers = []
    for client in ways:
        token = await player.start()
        body = {"actionToken": token, "proof": {"answer": "yes"}}
        answers.append(await see(client, COMPLETE, json=body, headers=player.headers))
    by_fastapi, directly = answers

    assert directly[0] == 200
    assert directly[:2] == by_fastapi[:2]
    assert directly[2].keys() == by_fastapi[2].keys()
    assert directly[2]["newTotalScore"] == 2 * by_fastapi[2]["newTotalScore"]


async def test_the_description_has_what_they_take(gateway: Gateway) -> None:
    described = (await gateway.http.get("/openapi.json")).json()["paths"]
    parts = gateway.running.parts
    for path, operation in ActionRoutes(parts.actions, parts.suspicions).direct_calls().items():
        post = described[API_PREFIX + path]["post"]
        schema = post["requestBody"]["content"]["application/json"]["schema"]

        assert schema == {"$ref": f"#/components/schemas/{operation.body.__name__}"}
        named = [parameter["name"] for parameter in post.get("parameters", [])]
        assert named == ["idempotency-key"] * operation.takes_key
