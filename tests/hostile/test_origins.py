"""Which pages may read answers (CORS), and which may open a WebSocket."""

import itertools

import pytest
from tests.fixtures.clients.realtime import Realtime, close_code, receive
from tests.fixtures.services.gateway import Gateway, StartGateway
from websockets.exceptions import InvalidStatus

LISTED = "https://play.example.org"
STRANGERS = [
    "null",
    "",
    "*",
    "file://",
    "https://",
    "http://play.example.org",
    "https://play.example.org:443",
    "https://play.example.org:8443",
    "https://play.example.org.evil.example.net",
    "https://evilplay.example.org",
    "https://evil.play.example.org",
    "https://example.org",
    "https://play.example.org@evil.example.net",
    "https://evil.example.net@play.example.org",
    "https://play.example.org/",
    "https://play.example.org/x",
    "https://play.example.org?x",
    "https://play.example.org#x",
    "https://play.example.org, https://play.example.org",
    "https://play.example.org https://evil.example.net",
    "https://play.example.org.",
    "https://play%2eexample%2eorg",
    "https://plаy.example.org".encode().decode("latin-1"),  # noqa: RUF001 - A letter that only looks alike.
    "ftp://play.example.org",
    "play.example.org",
]
PATHS = [
    "/api/v1/actions",
    "/api/v1/leaderboard/events",
    "/.well-known/jwks.json",
    "/openapi.json",
    "/nothing",
]


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> Gateway:
    return await start_gateway(ready=False, score_target="dns:///localhost:1", allowed_origins=(LISTED,))


async def test_a_listed_page_reads_every_answer_and_sends_no_cookies(gateway: Gateway) -> None:
    for path in PATHS:
        headers = (await gateway.http.get(path, headers={"Origin": LISTED})).headers
        assert headers["access-control-allow-origin"] == LISTED
        assert "access-control-allow-credentials" not in headers
        assert "origin" in headers["vary"].lower()


async def test_no_other_page_reads_any_answer(gateway: Gateway) -> None:
    for path, origin in itertools.product(PATHS, STRANGERS):
        sent = [(b"Origin", origin.encode("latin-1"))]
        asked = [*sent, (b"Access-Control-Request-Method", b"POST")]
        answer = await gateway.http.get(path, headers=sent)
        preflight = await gateway.http.options(path, headers=asked)
        assert "access-control-allow-origin" not in answer.headers, origin
        assert "access-control-allow-origin" not in preflight.headers, origin
        assert preflight.status_code >= 400


async def test_a_listed_page_may_send_what_it_needs_and_nothing_else(gateway: Gateway) -> None:
    async def may(method: str, *names: str) -> bool:
        response = await gateway.http.options(
            "/api/v1/actions/complete",
            headers={
                "Origin": LISTED,
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": ", ".join(names),
            },
        )
        assert response.status_code in {200, 400}
        return response.status_code == 200

    assert await may("POST", "authorization", "content-type", "idempotency-key")
    assert not await may("DELETE")
    assert not await may("POST", "x-forwarded-for")
    assert not await may("POST", "cookie")


async def test_without_a_list_no_foreign_page_reads_anything(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(ready=False, score_target="dns:///localhost:1")
    for origin in (LISTED, "null", gateway.url):
        answer = await gateway.http.get("/openapi.json", headers={"Origin": origin})
        assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_a_listed_page_one_of_the_same_host_and_a_program_open_a_socket(realtime: Realtime) -> None:
    own = str(realtime.listener.address)
    for headers in (
        {},
        *({"Origin": one} for one in (LISTED, LISTED.upper(), f"http://{own}", f"https://{own}")),
    ):
        async with realtime.connected(headers=headers) as socket:
            assert (await receive(socket))["event"] == "leaderboard:initial"


async def test_no_other_page_opens_a_socket_even_with_a_token(realtime: Realtime) -> None:
    for origin in STRANGERS:
        async with realtime.connected(headers={"Origin": origin}) as socket:
            assert await close_code(socket) == 4403, origin


async def test_a_page_of_another_port_of_the_same_host_opens_no_socket(realtime: Realtime) -> None:
    for origin in (
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        f"http://localhost:{realtime.listener.address.port}",
    ):
        async with realtime.connected(headers={"Origin": origin}) as socket:
            assert await close_code(socket) == 4403


async def test_two_origin_headers_are_rejected(realtime: Realtime) -> None:
    with pytest.raises(InvalidStatus, match="HTTP 400"):
        async with realtime.connected(headers={"Origin": LISTED}, origin=LISTED):
            pass
