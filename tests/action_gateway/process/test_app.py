"""The application as a whole: its description, its routes, and what any request at all gets."""

import json
from typing import Any

import pytest
from tests.fixtures.services.gateway import Gateway, Player, StartGateway

ROUTES = {
    "/api/v1/auth/register": {"post"},
    "/api/v1/auth/login": {"post"},
    "/api/v1/auth/refresh": {"post"},
    "/api/v1/auth/logout": {"post"},
    "/api/v1/account": {"delete"},
    "/api/v1/account/export": {"get"},
    "/api/v1/actions": {"get"},
    "/api/v1/actions/start": {"post"},
    "/api/v1/actions/complete": {"post"},
    "/api/v1/actions/perform": {"post"},
    "/api/v1/score/update": {"post"},
    "/api/v1/leaderboard": {"get"},
    "/api/v1/leaderboard/me": {"get"},
    "/api/v1/leaderboard/events": {"get"},
    "/api/v1/leaderboard/periods": {"get"},
    "/api/v1/moderation/boards": {"get"},
    "/api/v1/moderation/player": {"get"},
    "/api/v1/moderation/awards": {"get"},
    "/api/v1/moderation/suspicions": {"get"},
    "/api/v1/moderation/reversals": {"post"},
    "/api/v1/moderation/reversals/plan": {"post"},
    "/api/v1/moderation/reversals/apply": {"post"},
    "/api/v1/moderation/visibility": {"post"},
    "/api/v1/moderation/suspicions/dismiss": {"post"},
    "/.well-known/jwks.json": {"get"},
}
OPEN = {"/api/v1/auth/register", "/api/v1/auth/login", "/api/v1/auth/refresh", "/api/v1/auth/logout"}


async def describe(gateway: Gateway) -> dict[str, Any]:
    description: dict[str, Any] = (await gateway.http.get("/openapi.json")).json()
    return description


async def test_the_description_has_every_route_and_no_other(gateway: Gateway) -> None:
    description = await describe(gateway)

    assert description["openapi"].startswith("3.1")
    assert {path: set(methods) for path, methods in description["paths"].items()} == ROUTES


async def test_the_description_has_every_failure_as_a_problem(gateway: Gateway) -> None:
    description = await describe(gateway)
    operations = [
        (path, method, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]

    for path, method, operation in operations:
        failures = {status for status in operation["responses"] if not status.startswith("2")}
        assert failures >= {"429", "431"}
        assert ("503" in failures) == path.startswith("/api")
        assert failures >= ({"408", "413", "415", "422"} if method in {"post", "delete"} else set())
        is_open = path in OPEN or not path.startswith("/api")
        assert ("401" in failures) >= (not is_open)
        assert bool(operation.get("security")) == (not is_open)
        for status in failures:
            (media_type,) = operation["responses"][status]["content"]
            assert media_type == "application/problem+json"
            named = operation["responses"][status].get("headers", {}).keys()
            assert ("WWW-Authenticate" in named) == (status == "401")
            assert ("Retry-After" in named) == (status in {"429", "503"})


async def test_every_reference_in_the_description_resolves(gateway: Gateway) -> None:
    description = await describe(gateway)
    text = json.dumps(description)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}

    assert names <= description["components"]["schemas"].keys()
    assert "Problem" in names
    assert "HTTPValidationError" not in names


async def test_all_routes_but_logins_need_an_access_token_or_a_ticket(gateway: Gateway) -> None:
    for path, methods in ROUTES.items():
        if path in OPEN or path.startswith("/.well-known"):
            continue
        for method in methods:
            response = await gateway.http.request(method, path)

            assert response.status_code == 401
            expected = "bad_ticket" if path == "/api/v1/score/update" else "unauthenticated"
            assert response.json()["code"] == expected
            assert response.headers["www-authenticate"] == "Bearer"


async def test_a_malformed_authorization_header_is_rejected(gateway: Gateway) -> None:
    for header in ("", "Bearer", "bearer x", "Basic YTpi", "Bearer a b", "Token x", "Bearer \xff"):
        headers = [(b"Authorization", header.encode("latin-1"))]
        response = await gateway.http.get("/api/v1/actions", headers=headers)

        assert response.status_code == 401, header


async def test_two_authorization_headers_are_rejected(gateway: Gateway, player: Player) -> None:
    headers = [("Authorization", player.headers["Authorization"])] * 2

    assert (await gateway.http.get("/api/v1/actions", headers=headers)).status_code == 401


async def test_an_unknown_path_is_a_problem(gateway: Gateway) -> None:
    for path in ("/nothing", "/api/v1/nothing", "/api/v1/actions/", "/docs/../x", "/%00", "/%ff"):
        response = await gateway.http.get(path)

        assert (response.status_code, response.json()["code"]) == (404, "not_found"), path
        assert response.headers["content-type"] == "application/problem+json"


async def test_a_method_that_is_not_allowed_is_a_problem(gateway: Gateway) -> None:
    for method, path, allowed in (
        ("GET", "/api/v1/actions/start", "POST"),
        ("DELETE", "/api/v1/actions", "GET"),
        ("POST", "/", "GET"),
        ("PUT", "/openapi.json", "GET"),
        ("PROPFIND", "/livez", "GET"),
    ):
        response = await gateway.http.request(method, path)

        assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed"), path
        assert allowed in response.headers["allow"]


async def test_the_public_keys_are_published(gateway: Gateway) -> None:
    response = await gateway.http.get("/.well-known/jwks.json")

    assert response.json() == gateway.running.parts.access_keys.to_jwks()
    assert response.headers["cache-control"] == "public, max-age=300"


async def test_pages_are_served_and_revalidated(gateway: Gateway) -> None:
    for path in ("/", "/docs", "/docs/docs.js", "/docs/docs.css"):
        response = await gateway.http.get(path)
        again = await gateway.http.get(path, headers={"If-None-Match": response.headers["etag"]})

        assert response.status_code == 200
        assert "://" not in response.text.replace("http://www.w3.org/2000/svg", "")
        assert response.headers["cache-control"] == "no-cache"
        assert (again.status_code, again.content) == (304, b"")
        assert (await gateway.http.head(path)).status_code == 200


async def test_every_answer_has_security_headers(gateway: Gateway) -> None:
    for path in ("/", "/docs", "/api/v1/actions", "/nothing", "/openapi.json"):
        headers = (await gateway.http.get(path)).headers

        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] in {"no-store", "no-cache"}
        assert "server" not in headers
        assert "strict-transport-security" not in headers


async def test_other_origins_may_not_read_unless_they_are_listed(
    start_gateway: StartGateway,
) -> None:
    named, stranger = "https://play.example.org", "https://evil.example.org"
    closed = await start_gateway(ready=False, score_target="dns:///localhost:1")
    opened = await start_gateway(ready=False, score_target="dns:///localhost:1", allowed_origins=(named,))

    async def allowed(gateway: Gateway, origin: str) -> str | None:
        preflight = await gateway.http.options(
            "/api/v1/actions/start",
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization, idempotency-key",
            },
        )
        answer = await gateway.http.get("/api/v1/actions", headers={"Origin": origin})
        assert (preflight.status_code == 200) == ("access-control-allow-origin" in answer.headers)
        return answer.headers.get("access-control-allow-origin")

    assert await allowed(closed, named) is None
    assert await allowed(opened, named) == named
    assert await allowed(opened, stranger) is None


BODIES: list[tuple[bytes, str, int, str]] = [
    (b"", "application/json", 422, "invalid_request"),
    (b"{", "application/json", 422, "invalid_request"),
    (b"null", "application/json", 422, "invalid_request"),
    (b"[]", "application/json", 422, "invalid_request"),
    (b"{}", "application/json", 422, "invalid_request"),
    (b"\xff\xfe", "application/json", 422, "invalid_request"),
    (b"[" * 10_000, "application/json", 422, "invalid_request"),
    (b'{"actionId":' * 1_000, "application/json", 422, "invalid_request"),
    (b'{"actionId": NaN}', "application/json", 422, "invalid_request"),
    (b'{"actionId": ' + b"9" * 10_000 + b"}", "application/json", 422, "invalid_request"),
    (b'{"actionId": 1e999}', "application/json", 422, "invalid_request"),
    (b'{"actionId": "\\ud800"}', "application/json", 422, "invalid_request"),
    (b'{"actionId": "\\u0000"}', "application/json", 422, "invalid_request"),
    (b'{"actionId": "quick\\n"}', "application/json", 422, "invalid_request"),
    (b'{"actionId": "quick", "\\ud800": 1}', "application/json", 422, "invalid_request"),
    (b'{"actionId": "quick", "points": 1}', "application/json", 422, "invalid_request"),
    (b'{"actionId": ["quick"]}', "application/json", 422, "invalid_request"),
    (b'{"action_id": "quick"}', "application/json", 422, "invalid_request"),
    (b'{"actionId": "nothing", "actionId": "quick"}', "application/json", 200, ""),
    (b'{"actionId": "quick"}', "application/json; charset=utf-8", 200, ""),
    (b'{"actionId": "quick"}', "text/plain", 415, "unsupported_media_type"),
    (b'{"actionId": "quick"}', "application/jsonx", 415, "unsupported_media_type"),
    (b'{"actionId": "quick"}', "", 415, "unsupported_media_type"),
    (b"actionId=quick", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
    (b" " * 16_385, "application/json", 413, "body_too_large"),
]


async def test_invalid_bodies_are_rejected(player: Player) -> None:
    for body, content_type, status, code in BODIES:
        headers = player.headers | {"Content-Type": content_type}
        response = await player.http.post("/api/v1/actions/start", content=body, headers=headers)

        assert response.status_code == status, (body[:40], content_type, response.text)
        assert response.json().get("code", "") == code
        assert b"\\ud800" not in response.content


async def test_a_chunked_body_is_bounded_too(player: Player) -> None:
    async def pieces() -> Any:
        for _ in range(20):
            yield b" " * 1024

    headers = player.headers | {"Content-Type": "application/json"}
    response = await player.http.post("/api/v1/actions/start", content=pieces(), headers=headers)

    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


async def test_a_body_of_the_maximum_size_is_read(player: Player) -> None:
    body = b'{"actionId": "quick"}'.ljust(16_384)
    headers = player.headers | {"Content-Type": "application/json"}
    response = await player.http.post("/api/v1/actions/start", content=body, headers=headers)

    assert response.status_code == 200


async def test_headers_and_addresses_are_bounded(gateway: Gateway) -> None:
    headers = await gateway.http.get("/livez", headers={"X-Long": "x" * 20_000})
    many = await gateway.http.get("/livez", headers=[("X", "y")] * 3_000)
    address = await gateway.http.get("/livez", params={"x": "x" * 20_000})

    for response in (headers, many, address):
        assert (response.status_code, response.json()["code"]) == (431, "headers_too_large")
    assert (await gateway.http.get("/livez")).status_code == 200


async def test_health_checks_of_balancers_are_answered_as_they_ask_by_default(gateway: Gateway) -> None:
    asked = await gateway.http.options("/")
    assert (asked.status_code, asked.text) == (204, "")
    assert asked.headers["allow"] == "GET, HEAD, OPTIONS"
    for path in ("/", "/livez", "/readyz", "/docs", "/openapi.json"):
        full, head = await gateway.http.get(path), await gateway.http.head(path)
        assert (head.status_code, head.text) == (200, "")
        assert head.headers["content-length"] == full.headers["content-length"]
    for path in ("/livez", "/readyz", "/metrics"):
        assert (await gateway.http.head(gateway.admin_url + path)).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_the_unspecified_address_of_ipv6_takes_both_families_on_both_ports(
    host: str, start_gateway: StartGateway
) -> None:
    gateway = await start_gateway(
        ready=False, score_target="dns:///localhost:1", listen="[::]:0", admin_listen="[::]:0"
    )
    for listener in (gateway.running.public, gateway.running.admin):
        assert (await gateway.http.get(f"http://{host}:{listener.address.port}/livez")).status_code == 200
