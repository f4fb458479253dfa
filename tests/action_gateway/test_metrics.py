"""What is logged and counted of requests, and what is not."""

import io
import re
from collections.abc import Callable
from typing import Any

import httpx2 as httpx
import psycopg
import pytest
import structlog
from cryptography import x509
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Receive, Scope, Send
from tests.fixtures.logs import LogLines
from tests.fixtures.servers.postgres import Database
from tests.fixtures.services.gateway import Gateway, Player
from websockets.asyncio.client import connect

from action_gateway.edge.request_telemetry import RequestTelemetry
from action_gateway.metrics import Metrics
from action_gateway.request_context import add_request_fields
from local_stack.certificates import CertificateAuthority, CertificateFiles
from service_runtime.telemetry.logs import configure_logging

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def lines(log_lines: LogLines) -> Callable[[], list[dict[str, Any]]]:
    return log_lines(add_request_fields)


def requests(lines: list[dict[str, Any]], route: str) -> list[dict[str, Any]]:
    """Pick the lines of requests to a route."""
    return [line for line in lines if line["event"] == "request" and line.get("route") == route]


async def test_a_request_gets_one_line_with_its_route_and_user(
    player: Player, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    await player.get("/leaderboard?limit=3&pageToken=secret-page")
    (line,) = requests(lines(), "/api/v1/leaderboard")

    assert line["method"] == "GET"
    assert line["status"] in {200, 422}
    assert line["user_id"] == player.user_id
    assert line["duration_ms"] >= 0
    assert line["level"] == "info"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", line["timestamp"])


async def test_the_expiry_of_the_certificate_for_the_score_service_is_exported(
    gateway: Gateway, gateway_certificate: CertificateFiles, authority: CertificateAuthority
) -> None:
    pem = gateway_certificate.certificate_file.read_bytes()
    metrics = (await gateway.http.get(f"{gateway.admin_url}/metrics")).text
    exported = {
        sample.name: sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if not sample.labels
    }

    shown = x509.load_pem_x509_certificate(pem)
    begin, end = shown.not_valid_before_utc, shown.not_valid_after_utc
    assert exported["gateway_certificate_not_before_timestamp_seconds"] == begin.timestamp()
    assert exported["gateway_certificate_not_after_timestamp_seconds"] == end.timestamp()
    trusted = authority.certificate.not_valid_after_utc
    assert exported["gateway_authority_not_after_timestamp_seconds"] == trusted.timestamp()
    assert exported["gateway_certificate_faulty"] == 0


async def test_no_line_holds_a_secret(
    gateway: Gateway, player: Player, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    password, answer, key = "correct horse battery", "secret-answer", "secret-key"
    credentials = {"username": "ada", "password": password}
    await gateway.http.post("/api/v1/auth/register", json=credentials)
    login = (await gateway.http.post("/api/v1/auth/login", json=credentials)).json()
    refreshed = (
        await gateway.http.post("/api/v1/auth/refresh", json={"refreshToken": login["refreshToken"]})
    ).json()
    gateway.clock.advance(31)
    await gateway.http.post("/api/v1/auth/refresh", json={"refreshToken": login["refreshToken"]})
    token = await player.start()
    await player.complete(token, answer, key=key)
    await player.complete(token, "yes")
    await gateway.http.get("/api/v1/leaderboard", params={"accessToken": login["accessToken"]})
    await gateway.http.get("/secret-path")
    await gateway.http.post("/api/v1/auth/login", content=password)
    socket = gateway.url.replace("http:", "ws:") + "/api/v1/leaderboard/ws"
    headers = {"Authorization": f"Bearer {login['accessToken']}"}
    async with connect(f"{socket}?accessToken={token}", additional_headers=headers) as websocket:
        await websocket.recv()
    text = str(lines())

    assert len(lines()) >= 10
    for secret in (
        password,
        answer,
        key,
        "secret-path",
        login["accessToken"],
        login["refreshToken"],
        refreshed["refreshToken"],
        player.access_token,
        token,
    ):
        assert secret not in text
    assert {line["signal"] for line in lines() if line["event"] == "suspicion"} >= {"refresh_reused"}


async def test_failures_are_logged_and_counted_by_their_code(
    gateway: Gateway, player: Player, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    await player.complete("rubbish")
    (line,) = requests(lines(), "/api/v1/actions/complete")
    metrics = (await gateway.http.get(f"{gateway.admin_url}/metrics")).text

    assert (line["status"], line["problem"]) == (400, "bad_action_token")
    samples = [sample for family in text_string_to_metric_families(metrics) for sample in family.samples]
    found = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for sample in samples
        if sample.labels.get("route") == "/api/v1/actions/complete"
    }
    labels = (("method", "POST"), ("route", "/api/v1/actions/complete"), ("status", "400"))
    assert found["gateway_requests_total", labels] == 1
    assert found["gateway_problems_total", (("code", "bad_action_token"), labels[1])] == 1
    assert found["gateway_request_seconds_count", labels[:2]] == 1
    assert {sample.name for sample in samples} >= {"gateway_ready", "gateway_build_info"}
    (tasks,) = (sample.value for sample in samples if sample.name == "gateway_tasks")
    assert tasks > 0


async def test_a_valid_request_id_is_adopted_and_an_invalid_one_replaced(gateway: Gateway) -> None:
    async def answered(given: str) -> str:
        response = await gateway.http.get("/livez", headers={"X-Request-Id": given})
        return response.headers["x-request-id"]

    for given in ("abc-123", "x" * 128):
        assert await answered(given) == given
    for given in ("", "x" * 129, "a b", 'a"b', "<script>"):
        assert re.fullmatch(r"[0-9a-f-]{36}", await answered(given))


async def test_the_trace_id_reaches_the_ledger(
    player: Player, database: Database, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    token = await player.start()
    parent = f"00-{TRACE_ID}-00f067aa0ba902b7-01"
    body = {"actionToken": token, "proof": {"answer": "yes"}}
    response = await player.post("/actions/complete", body, traceparent=parent)
    async with await psycopg.AsyncConnection.connect(database.score_runtime_dsn) as connection:
        cursor = await connection.execute("SELECT trace_id FROM score.award")
        rows = await cursor.fetchall()

    assert response.status_code == 200
    assert rows == [(TRACE_ID,)]
    assert [line["trace_id"] for line in requests(lines(), "/api/v1/actions/complete")] == [TRACE_ID]


async def test_a_malformed_trace_header_starts_a_new_trace(
    gateway: Gateway, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    for parent in ("rubbish", f"00-{'0' * 32}-00f067aa0ba902b7-01", f"ff-{TRACE_ID}-00f067aa0ba902b7-01"):
        await gateway.http.get("/livez", headers={"traceparent": parent})

        line = requests(lines(), "/livez")[-1]
        assert re.fullmatch(r"[0-9a-f]{32}", line["trace_id"])
        assert line["trace_id"] not in {TRACE_ID, "0" * 32}


async def test_an_unexpected_failure_is_logged_in_full_and_not_disclosed(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("secret detail")

    transport = httpx.ASGITransport(app=RequestTelemetry(fail, Metrics()))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        response = await client.get("/")

    assert response.status_code == 500
    assert response.json()["code"] == "internal"
    assert "secret detail" not in response.text
    (line,) = [line for line in lines() if line["event"] == "request_failed"]
    assert "RuntimeError: secret detail" in line["exception"]


def test_a_terminal_gets_lines_to_read_without_the_values_of_variables(log_lines: LogLines) -> None:
    stream = io.StringIO()
    configure_logging("console", "info", add_request_fields, stream)
    password, nothing = "hunter2", dict[int, int]()
    try:
        nothing[len(password)]
    except KeyError:
        structlog.get_logger("test").exception("oops")
    shown = stream.getvalue()

    assert "oops" in shown
    assert "KeyError: 7" in shown
    assert shown.count(password) == 0
