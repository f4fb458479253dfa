"""Bytes on the public port: requests that are none, headers and bodies of every sort."""

import itertools
import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from tests.fixtures.services.gateway import Gateway, Player
from tests.hostile.inputs.fuzzing import fuzzing
from tests.hostile.inputs.wire import connected, status_of

HEADS = (
    *(
        b"GET",
        b"POST",
        b"PUT",
        b"OPTIONS",
        b"CONNECT",
        b" / ",
        b" /api/v1/actions ",
        b" * ",
        b" //x?y#z ",
        b"\r\n",
    ),
    *(b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"Host: a", b"Host: a\r\nHost: b", b"Content-Length: 5", b"\n"),
    *(b"Content-Length: -1", b"Content-Length: 99999999999", b"Transfer-Encoding: chunked", b"\x00", b"\xff"),
    *(
        b"Transfer-Encoding: gzip",
        b"Expect: 100-continue",
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b":",
    ),
    *(
        b"Sec-WebSocket-Key: eA==",
        b"Sec-WebSocket-Version: 13",
        b"ffffffffffffffff\r\n",
        b"5\r\nhello\r\n0\r\n\r\n",
    ),
)
REQUEST = b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%b\r\n"


@fuzzing(150)
@given(raw=st.binary(max_size=300) | st.lists(st.sampled_from(HEADS), max_size=12).map(b"".join))
async def test_no_bytes_on_the_public_port_cause_a_server_error(gateway: Gateway, raw: bytes) -> None:
    async with connected(gateway.url) as wire:
        wire.writer.write(raw)
        assert status_of(await wire.listen()) < 500


UPGRADE = b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
SOCKET = b"/api/v1/leaderboard/ws HTTP/1.1\r\nHost: a\r\n" + UPGRADE
ODD_REQUESTS = [
    b"GET " + SOCKET + b"\r\n",
    b"GET " + SOCKET + KEY + b"Sec-WebSocket-Version: 99\r\n\r\n",
    b"GET " + SOCKET + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n",
    b"POST " + SOCKET + KEY + b"Sec-WebSocket-Version: 13\r\n\r\n",
    b"GET " + SOCKET + KEY + b"Sec-WebSocket-Version: 13\r\nX: \xff\xfe\r\n\r\n",
    b"GET " + SOCKET + KEY + KEY + b"Sec-WebSocket-Version: 13\r\n\r\n",
    b"GET " + SOCKET + KEY + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: ;;=\r\n\r\n",
    b"GET " + SOCKET + KEY + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ,,\r\n\r\n",
    b"GET " + SOCKET.replace(b"1.1", b"1.0") + KEY + b"Sec-WebSocket-Version: 13\r\n\r\n",
    b"GET " + SOCKET.replace(b"leaderboard/ws", b"actions") + KEY + b"Sec-WebSocket-Version: 13\r\n\r\n",
    b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET http://[ HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /%zz%00?%zz=%ff HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
]


async def test_no_unusual_request_causes_a_server_error(gateway: Gateway) -> None:
    for url, request in itertools.product((gateway.url, gateway.admin_url), ODD_REQUESTS):
        async with connected(url) as wire:
            wire.writer.write(request)
            assert status_of(await wire.listen()) < 500, request


NAMES = (
    *("Authorization", "Idempotency-Key", "Last-Event-ID", "Content-Type", "X-Request-Id", "traceparent"),
    *("Origin", "X-Forwarded-For", "X-Forwarded-Proto", "Range", "If-Range", "If-None-Match", "Cookie"),
    *(
        "If-Modified-Since",
        "Accept",
        "Accept-Encoding",
        "Access-Control-Request-Method",
        "Expect",
        "X-" + "y" * 300,
    ),
)
PATHS = ("/", "/docs/docs.js", "/livez", "/openapi.json", "/api/v1/actions", "/api/v1/leaderboard?limit=1")
VALUES = (
    *(
        "bytes=0-",
        "bytes=-1",
        "bytes=9-1",
        "bytes=0-0,0-0,1-",
        "bytes=,",
        "bytes=a-b",
        "bytes=-",
        "bytes==",
        "bytes=--1",
    ),
    *(
        "bytes=99999999999999999999-",
        "bytes=0-" + "9" * 5_000,
        "bytes=" + "0-1," * 2_000,
        "Bearer",
        "Bearer ..",
    ),
    *(
        "Thu, 99 Foo 2026 99:99:99 GMT",
        "W/",
        '"',
        "application/json; charset=\xff",
        "application/json;" * 100,
        "*/*",
    ),
    *(
        "00-" + "0" * 32 + "-" + "0" * 16 + "-00",
        "::1",
        "1.2.3.4,",
        "%00",
        "\t",
        "=?utf-8?q?x?=",
        "null",
        "{}",
        "9" * 5_000,
    ),
)


@fuzzing(200)
@given(
    path=st.sampled_from(PATHS),
    fields=st.lists(
        st.tuples(
            st.sampled_from(NAMES),
            st.sampled_from(VALUES)
            | st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=60),
        ),
        max_size=4,
    ),
)
async def test_no_headers_cause_a_server_error(
    gateway: Gateway, player: Player, path: str, fields: list[tuple[str, str]]
) -> None:
    own = [] if any(name == "Authorization" for name, _ in fields) else list(player.headers.items())
    lines = "".join(f"{name}: {value}\r\n" for name, value in [*own, *fields]).encode("latin-1")
    async with connected(gateway.url) as wire:
        wire.writer.write(REQUEST % (path.encode(), lines))
        answer = await wire.finish()
        assert 200 <= status_of(answer) < 500, answer


BODIES: dict[str, Any] = {
    "auth/register": {"username": "ada", "password": "a\x00" * 10},
    "auth/login": {"username": "ada", "password": "\x00"},
    "auth/refresh": {"refreshToken": "x"},
    "auth/logout": {"refreshToken": "x"},
    "actions/start": {"actionId": "quick"},
    "actions/complete": {"actionToken": "x", "proof": {"answer": "\x00\ufdfa\u0130" * 9}},
}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("\x00")
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, bytes]:
    """Draw a body for a route: nearly right, any JSON, or JSON with something in it that is none."""
    route = draw(st.sampled_from(sorted(BODIES)))
    body: Any = dict(BODIES[route])
    member = draw(st.sampled_from(sorted(body)))
    match draw(st.sampled_from(["right", "member", "more", "any", "spliced", "cut"])):
        case "right":
            pass
        case "member":
            body[member] = draw(JSON)
        case "more":
            body |= draw(st.dictionaries(st.text(max_size=9), JSON, max_size=3))
        case "any":
            body = draw(JSON)
        case "spliced":
            text = json.dumps(body).encode()
            place, part = draw(st.integers(0, len(text))), draw(st.sampled_from(PARTS))
            return route, text[:place] + part + text[place:]
        case "cut":
            return route, json.dumps(body).encode()[: draw(st.integers(0, 20))]
    return route, json.dumps(body).encode()


PARTS: tuple[bytes, ...] = (
    b"\x00",
    b"\xff",
    b"\xed\xa0\x80",
    b"\\ud800",
    b"\\u0000",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"9" * 6_000,
)
PARTS += (b"[" * 6_000, b'{"a":' * 2_500, b"\xef\xbb\xbf", b"//", b"'", b",", b'"x":1,' * 1_000)
DESCRIBED = {200, 201, 204, 400, 401, 403, 404, 409, 413, 422}


@fuzzing(300)
@given(asked=bodies())
@example(("auth/login", b'{"username":"ada","password":"\\u0000\\u0000"}'))
@example(
    (
        "auth/register",
        b'{"username":"ada","username":"bob","password":"\\u0000\\u0000\\u0000\\u0000\\u0000xyz"}',
    )
)
async def test_no_body_causes_a_server_error(
    gateway: Gateway, player: Player, asked: tuple[str, bytes]
) -> None:
    route, body = asked
    headers = player.headers | {"Content-Type": "application/json"}
    response = await player.http.post(f"/api/v1/{route}", content=body, headers=headers)
    assert response.status_code in DESCRIBED, response.text
    if response.status_code >= 400:
        assert response.headers["content-type"] == "application/problem+json"
        assert "\\u0000" not in response.text
