"""The capacity for requests: which are accepted, and what the rejected ones are answered."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from contextvars import copy_context

import pytest
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.testing import capture_logs
from tests.fixtures.clients.wire import wire
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.gateway import Gateway, StartGateway
from tests.fixtures.services.score_service import ScoreService

from action_gateway.accounts.passwords import Passwords, Verdict
from action_gateway.edge.admission import Admission
from action_gateway.errors import RateLimitedError
from action_gateway.metrics import AdmissionMetrics

CAPACITY = 2
CREDENTIALS = {"username": "nobody", "password": "correct horse battery"}


def scope_of(path: str = "/", kind: str = "http") -> Scope:
    return {"type": kind, "path": path, "method": "GET", "headers": []}


async def no_body() -> Message:
    return {"type": "http.request"}


class Desk:
    """An application with bounded capacity, whose requests end when the test says so."""

    def __init__(
        self,
        app: ASGIApp | None = None,
        capacity: int = CAPACITY,
        *,
        holds: bool = True,
        retry_seconds: float = 0.01,
    ) -> None:
        self.end = asyncio.Event()
        self.serving = 0
        self.registry = CollectorRegistry()
        self.now = 0.0
        self.layer = Admission(
            app or self._serve,
            AdmissionMetrics(self.registry),
            capacity=capacity,
            open_paths=["/open"],
            holds=holds,
            retry_seconds=retry_seconds,
            clock=lambda: self.now,
        )

    async def _serve(self, _scope: Scope, _receive: Receive, _send: Send) -> None:
        self.serving += 1
        await self.end.wait()

    async def ask(self, scope: Scope | None = None, receive: Receive = no_body) -> list[Message]:
        """Make a request, and return what was sent back."""
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        await self.layer(scope or scope_of(), receive, send)
        return sent

    def metric(self, name: str) -> float | None:
        return self.registry.get_sample_value(name)


@asynccontextmanager
async def under_way(*requests: Awaitable[object]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(request) for request in requests]
    await asyncio.sleep(0)
    yield
    await asyncio.gather(*tasks)


def test_the_answer_that_is_prepared_is_not_noted_in_the_log_of_the_process() -> None:
    context = copy_context()

    context.run(Desk)

    assert dict(context.items()) == dict(copy_context().items())


async def test_a_request_at_capacity_is_rejected_with_429() -> None:
    desk = Desk()
    async with under_way(desk.ask(), desk.ask()):
        start, body, *_ = await desk.ask()
        assert start["status"] == 429
        assert dict(start["headers"])[b"retry-after"] == b"1"
        assert b'"rate_limited"' in body["body"]
        assert desk.serving == desk.metric("gateway_requests_under_way") == CAPACITY
        assert desk.metric("gateway_requests_rejected_total") == 1
        desk.end.set()
    assert desk.metric("gateway_requests_under_way") == 0
    assert await desk.ask() == []


async def test_the_end_of_a_rejection_is_delayed_but_not_its_content() -> None:
    desk = Desk(capacity=0, retry_seconds=0.2)
    sent: list[tuple[float, Message]] = []
    clock = asyncio.get_running_loop().time

    async def send(message: Message) -> None:
        sent.append((clock(), message))

    await desk.layer(scope_of(), no_body, send)
    (_, start), (told_at, body), (ended_at, end) = sent
    length = dict(start["headers"])[b"content-length"]
    assert (int(length), body["more_body"]) == (len(body["body"]), True)
    assert (end["body"], end["more_body"]) == (b"", False)
    assert ended_at - told_at >= 0.19  # The loop's clock is not finer than that.


async def test_a_rejection_on_a_connection_shared_by_a_proxy_is_not_delayed() -> None:
    desk = Desk(capacity=0, holds=False, retry_seconds=3600.0)
    _, body = await desk.ask()
    assert not body.get("more_body")


async def test_a_failed_request_frees_its_capacity() -> None:
    async def fail(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ZeroDivisionError

    desk = Desk(fail, capacity=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await desk.ask()


@pytest.mark.parametrize("scope", [scope_of("/open"), scope_of(kind="websocket")])
async def test_open_paths_and_sockets_are_accepted_at_capacity(scope: Scope) -> None:
    desk = Desk(capacity=1)
    async with under_way(*(desk.ask(scope) for _ in range(3)), desk.ask()):
        assert desk.serving == 4
        desk.end.set()


async def read(_scope: Scope, receive: Receive, _send: Send) -> None:
    await receive()


async def test_a_request_that_waits_for_its_body_takes_no_capacity() -> None:
    body = asyncio.Event()

    async def slowly() -> Message:
        await body.wait()
        return {"type": "http.request"}

    desk = Desk(read, capacity=1)
    async with under_way(*(desk.ask(receive=slowly) for _ in range(3))):
        assert desk.metric("gateway_requests_under_way") == 0
        assert await desk.ask() == []
        body.set()


async def test_a_request_whose_body_arrives_at_capacity_is_rejected() -> None:
    body, end = asyncio.Event(), asyncio.Event()

    async def slowly() -> Message:
        await body.wait()
        return {"type": "http.request"}

    async def read_or_wait(scope: Scope, receive: Receive, _send: Send) -> None:
        await (receive() if scope["path"] == "/read" else end.wait())

    desk = Desk(read_or_wait, capacity=1)
    reading = asyncio.ensure_future(desk.ask(scope_of("/read"), slowly))
    await asyncio.sleep(0)
    async with under_way(desk.ask()):
        body.set()
        with pytest.raises(RateLimitedError):
            await reading
        end.set()
    assert desk.metric("gateway_requests_under_way") == 0
    assert desk.metric("gateway_requests_rejected_total") == 1


async def test_rejections_are_logged_once_a_second_with_their_number() -> None:
    desk = Desk(capacity=0)
    with capture_logs() as logs:
        for moment in (0.0, 0.1, 0.9, 1.0, 1.5):
            desk.now = moment
            await desk.ask()
    assert [(line["event"], line["count"]) for line in logs] == [
        ("requests_rejected", 1),
        ("requests_rejected", 3),
    ]


@pytest.fixture
async def single(start_gateway: StartGateway, score_service: ScoreService) -> Gateway:
    """Give a gateway with a capacity of one."""
    return await start_gateway(score_target=score_service.target, max_requests=1)


@asynccontextmanager
async def taken(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Have a login occupy it until the end of the block."""
    end = asyncio.Event()

    async def verify(*_: object) -> Verdict:
        await end.wait()
        return Verdict(right=False)

    monkeypatch.setattr(Passwords, "verify", verify)
    login = asyncio.ensure_future(gateway.http.post("/api/v1/auth/login", json=CREDENTIALS))
    await eventually(lambda: has_under_way(gateway, 1))
    yield
    end.set()
    assert (await login).status_code == 401


@pytest.fixture
async def full(single: Gateway, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    """Give a gateway that is at capacity until the end of the test."""
    async with taken(single, monkeypatch):
        yield single
    assert (await single.http.get("/api/v1/actions")).status_code == 401


async def has_under_way(gateway: Gateway, count: int) -> bool:
    return metric(gateway, "gateway_requests_under_way") == count


def metric(gateway: Gateway, name: str) -> float | None:
    return gateway.running.parts.metrics.registry.get_sample_value(name)


PATHS = ["/api/v1/actions", "/api/v1/auth/login", "/.well-known/jwks.json", "/nowhere"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_gateway_at_capacity_rejects_every_request_with_a_problem(full: Gateway, path: str) -> None:
    response = await full.http.get(path)

    assert (response.status_code, response.json()["code"]) == (429, "rate_limited")
    assert response.headers["Retry-After"] == "1"
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert metric(full, "gateway_requests_rejected_total") == 1


async def test_a_body_that_arrives_at_capacity_is_rejected_with_a_problem(
    single: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps(CREDENTIALS)
    headers = (
        f"POST /api/v1/auth/login HTTP/1.1\r\nHost: laurel\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: application/json\r\nExpect: 100-continue\r\n\r\n"
    )
    async with wire(str(single.running.public.address)) as late:
        late.writer.write(headers.encode())
        assert (await late.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        async with taken(single, monkeypatch):
            late.writer.write(body.encode())
            answer = await late.answer()

    assert (answer.status, answer.code, answer.headers["retry-after"]) == (429, "rate_limited", "1")
    assert metric(single, "gateway_requests_under_way") == 0


@pytest.mark.parametrize("path", ["/", "/style.css", "/docs"])
async def test_a_gateway_at_capacity_still_serves_the_files_of_the_page(full: Gateway, path: str) -> None:
    assert (await full.http.get(path)).status_code == 200


async def test_a_gateway_at_capacity_still_answers_probes_and_opens_streams(full: Gateway) -> None:
    assert (await full.http.get("/livez")).status_code == 200
    assert (await full.http.get("/readyz")).status_code == 200
    player = full.as_player("ada")
    events = full.http.stream("GET", "/api/v1/leaderboard/events", headers=player.headers)
    async with events as response:
        assert response.status_code == 200
