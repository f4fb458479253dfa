"""Secrets where they do not belong, and failures around them: no log says them, at its most talkative either.

The guard over all tests looks at the same logs again, for everything else that is secret.
"""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import httpx2 as httpx
import pytest
from tests.fixtures.secrets import SECRETS
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.processes import RunningService
from tests.fixtures.services.score_service import award_request, credentials_of
from tests.fixtures.services.stack import Stack, target_of
from tests.hostile.inputs.wire import connected
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from local_stack.certificates import CertificateFiles
from score_api.v1.score_service_pb2_grpc import ScoreServiceStub

PASSWORD = "correct-horse-battery-staple"
TYPED = "hunter2-Hunter2-hunter2"
"""A password that its user typed where the name belongs."""


def url_of(service: RunningService) -> str:
    return f"http://{service.addresses['http']}"


async def settle(service: RunningService, http: httpx.AsyncClient) -> str:
    """Wait until everything so far is logged, and read it."""
    mark = f"mark-{len(service.log())}"
    await http.get("/livez", headers={"X-Request-Id": mark})

    async def is_logged() -> bool:
        return mark in service.log()

    await eventually(is_logged)
    return service.log()


async def test_no_log_has_a_secret_that_a_client_sent_in_the_wrong_field(stack: Stack) -> None:
    service = await stack.start_score_service(log_level="debug")
    gateway = await stack.start_gateway(target_of(service), log_level="debug")
    api = f"{url_of(gateway)}/api/v1"
    async with httpx.AsyncClient(base_url=url_of(gateway), timeout=20) as http:
        credentials = {"username": "ada", "password": PASSWORD}
        await http.post(f"{api}/auth/register", json=credentials)
        login = (await http.post(f"{api}/auth/login", json=credentials)).json()
        access, refresh = login["accessToken"], login["refreshToken"]
        bearer = {"Authorization": f"Bearer {access}"}
        start = await http.post(f"{api}/actions/start", json={"actionId": "quick"}, headers=bearer)
        action = start.json()["actionToken"]
        answers = [
            *[
                await http.get(path, params={"token": access})
                for path in ("/", "/nothing", "/api/v1/leaderboard")
            ],
            *[await http.get(f"/{secret}") for secret in (access, refresh, action, PASSWORD)],
            *[await http.request(secret[:20], "/") for secret in (refresh, PASSWORD)],
            await http.post(f"{api}/auth/login", json={"username": TYPED, "password": PASSWORD}),
            await http.post(f"{api}/auth/login", json={PASSWORD: PASSWORD, "username": PASSWORD}),
            await http.post(f"{api}/auth/login", content=f'{{"password": "{PASSWORD}", '),
            await http.post(f"{api}/auth/register", json={"username": "ada", "password": [PASSWORD]}),
            await http.post(f"{api}/auth/refresh", json={"refreshToken": access}),
            await http.post(f"{api}/actions/start", json={"actionId": refresh}, headers=bearer),
            await http.post(
                "/api/v1/actions/complete", json={"actionToken": refresh, "proof": {"answer": access}}
            ),
            await http.get(f"{api}/actions", headers={"Authorization": f"Basic {PASSWORD}"}),
            await http.get(f"{api}/actions", headers={"traceparent": access, "X-Request-Id": access}),
            await http.get(f"{api}/leaderboard", params={"pageToken": refresh}, headers=bearer),
        ]
        for bad in (f"GET /?{access} HTTP/9.9", PASSWORD, f"GET / HTTP/1.1\r\n{access}"):
            async with connected(url_of(gateway)) as wire:
                wire.writer.write(f"{bad}\r\n\r\n".encode())
                assert access.encode() not in await wire.listen()
        socket = url_of(gateway).replace("http:", "ws:") + "/api/v1/leaderboard/ws"
        async with connect(f"{socket}?accessToken={access}", proxy=None) as opened:
            await opened.send(refresh)
            await opened.wait_closed()
        with pytest.raises(InvalidStatus, match="HTTP 403"):
            await connect(f"{socket}/{access}", proxy=None)
        log = await settle(gateway, http)

    for secret in (PASSWORD, TYPED, access, refresh, action):
        assert secret not in log
        assert secret not in service.log()
        assert not [one.text for one in answers if secret in one.text]


async def test_no_log_has_a_secret_that_a_caller_sent_in_the_wrong_field(
    stack: Stack, backend_certificate: CertificateFiles
) -> None:
    service = await stack.start_score_service(log_level="debug")
    async with grpc.aio.secure_channel(target_of(service), credentials_of(backend_certificate)) as channel:
        score = ScoreServiceStub(channel)
        metadata = [("authorization", f"Bearer {PASSWORD}"), ("x-request-id", f"{PASSWORD} {PASSWORD}")]
        await score.AwardPoints(award_request(), metadata=metadata)
        for field in ("award_id", "board_id", "user_id", "action_type", "action_id", "request_id"):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await score.AwardPoints(award_request(**{field: f"{PASSWORD}!"}), metadata=metadata)
            assert PASSWORD not in str(caught.value)
        unheard_of: Any = channel.unary_unary(f"/score_api.v1.ScoreService/{PASSWORD}")
        with pytest.raises(grpc.aio.AioRpcError):
            await unheard_of(b"")

    assert "grpc.code" in service.log()
    assert PASSWORD not in service.log()


@pytest.mark.parametrize("package", ["score_service", "action_gateway"])
async def test_no_log_has_a_password_that_a_store_rejects(stack: Stack, tmp_path: Path, package: str) -> None:
    wrong = tmp_path / "wrong-password"
    wrong.write_text(PASSWORD, encoding="ascii")
    SECRETS.note("a password that is rejected", PASSWORD)
    settings: dict[str, Any] = {"score_target": "dns:///localhost:1", "log_level": "debug"}
    settings |= stack.score_settings if package == "score_service" else stack.gateway_settings
    for store in ("DATABASE", "REDIS"):
        settings[f"{package.upper()}_{store}_PASSWORD_FILE"] = wrong
    service = await stack._spawn(package, settings)
    async with httpx.AsyncClient(base_url=f"http://{service.addresses['admin']}", timeout=20) as http:

        async def is_told() -> bool:
            return (await http.get("/readyz")).status_code == 503 and "database" in service.log()

        await eventually(is_told)

    assert PASSWORD not in service.log()
    assert await asyncio.to_thread(service.stop) == 0
