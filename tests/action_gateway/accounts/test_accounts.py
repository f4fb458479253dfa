"""Deleting and exporting an account, over HTTP, with everything behind it."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import grpc
import httpx2 as httpx
import psycopg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.gateway import Gateway, Player, StartGateway
from tests.fixtures.services.score_service import ScoreService
from websockets.asyncio.client import connect

from conformance.server.scripted import ScriptedServer, answer, reject
from local_stack.certificates import CertificateFiles
from score_api.v1 import ledger_service_pb2 as ledger
from score_api.v1 import types_pb2

PASSWORD = "correct horse battery"
KEY = "a key of the names"


@pytest.fixture
async def alone(start_gateway: StartGateway, database: Database, tmp_path: Any) -> Gateway:
    """Return a gateway without a score service, which keeps freed names."""
    (tmp_path / "names-key").write_text(KEY)
    return await start_gateway(
        ready=False, score_target="dns:///localhost:1", freed_name_key_file=tmp_path / "names-key"
    )


@pytest.fixture
async def score_server(server_certificate: CertificateFiles) -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer(server_certificate) as server:
        yield server


def code(response: httpx.Response) -> tuple[int, str]:
    """Return what a request failed with."""
    return response.status_code, response.json()["code"]


async def register(gateway: Gateway, username: str = "Ada") -> httpx.Response:
    body = {"username": username, "password": PASSWORD}
    return await gateway.http.post("/api/v1/auth/register", json=body)


async def log_in(gateway: Gateway, username: str = "Ada") -> dict[str, Any]:
    body = {"username": username, "password": PASSWORD}
    response = await gateway.http.post("/api/v1/auth/login", json=body)
    assert response.status_code == 200, response.text
    login: dict[str, Any] = response.json()
    return login


async def join(gateway: Gateway, username: str = "Ada") -> dict[str, Any]:
    """Register and log in."""
    assert (await register(gateway, username)).status_code == 201
    return await log_in(gateway, username)


async def delete(gateway: Gateway, login: dict[str, Any], password: str = PASSWORD) -> httpx.Response:
    headers = {"Authorization": f"Bearer {login['accessToken']}"}
    return await gateway.http.request(
        "DELETE", "/api/v1/account", headers=headers, json={"password": password}
    )


async def get(gateway: Gateway, path: str, login: dict[str, Any]) -> httpx.Response:
    headers = {"Authorization": f"Bearer {login['accessToken']}"}
    return await gateway.http.get(f"/api/v1{path}", headers=headers)


def rows(database: Database, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.gateway_owner_dsn) as connection:
        return connection.execute(statement.encode()).fetchall()


def dump(database: Database) -> str:
    """Read all that the gateway keeps."""
    with psycopg.connect(database.gateway_owner_dsn) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'gateway'").fetchall()
        return "\n".join(
            str(connection.execute(f"SELECT * FROM gateway.{table}".encode()).fetchall())
            for (table,) in tables
        )


async def test_a_deleted_account_leaves_an_id_and_nothing_else(alone: Gateway, database: Database) -> None:
    login = await join(alone)
    await log_in(alone)
    assert (await delete(alone, login)).status_code == 204

    left = dump(database).lower()
    assert "ada" not in left
    assert rows(database, "SELECT count(*) FROM gateway.account") == [(0,)]
    assert rows(database, "SELECT count(*) FROM gateway.session") == [(0,)]
    assert rows(database, "SELECT user_id, hides FROM gateway.departure") == [
        (login["user"]["userId"], False)
    ]


async def test_another_password_deletes_nothing(alone: Gateway, database: Database) -> None:
    login = await join(alone)

    assert code(await delete(alone, login, "another password")) == (401, "bad_credentials")
    assert (await log_in(alone))["user"] == login["user"]
    bodies: list[Any] = [{}, {"password": ""}, {"password": PASSWORD, "more": 1}, []]
    for body in bodies:
        response = await alone.http.request(
            "DELETE",
            "/api/v1/account",
            headers={"Authorization": f"Bearer {login['accessToken']}"},
            json=body,
        )
        assert code(response) == (422, "invalid_request")


async def test_passwords_are_tried_no_more_often_than_at_a_login(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(ready=False, score_target="dns:///localhost:1", logins_per_minute=3)
    login = await join(gateway)
    answers = [code(await delete(gateway, login, "another password")) for _ in range(3)]

    assert answers == [(401, "bad_credentials")] * 2 + [(429, "rate_limited")]


async def test_what_was_deleted_can_be_deleted_again(alone: Gateway) -> None:
    login = await join(alone)
    responses = await asyncio.gather(*(delete(alone, login) for _ in range(4)))

    assert [response.status_code for response in responses] == [204] * 4
    assert (await delete(alone, login)).status_code == 204
    # A client that asks again has no other password.
    assert (await delete(alone, login, "another password")).status_code == 204


async def test_a_token_of_an_account_that_never_was_deletes_nothing(alone: Gateway) -> None:
    stranger = alone.as_player(str(uuid.uuid4()))

    assert code(await delete(alone, {"accessToken": stranger.access_token})) == (401, "unauthenticated")


async def test_no_token_counts_after_the_account_is_gone(alone: Gateway) -> None:
    login = await join(alone)
    await delete(alone, login)
    refreshed = await alone.http.post("/api/v1/auth/refresh", json={"refreshToken": login["refreshToken"]})
    body = {"username": "Ada", "password": PASSWORD}

    assert code(await get(alone, "/actions", login)) == (401, "unauthenticated")
    assert code(refreshed) == (401, "bad_refresh_token")
    assert code(await alone.http.post("/api/v1/auth/login", json=body)) == (401, "bad_credentials")


async def test_logins_and_refreshes_during_the_deletion_leave_no_session(
    alone: Gateway, database: Database
) -> None:
    login = await join(alone)
    body = {"username": "Ada", "password": PASSWORD}

    async def refresh() -> int:
        response = await alone.http.post("/api/v1/auth/refresh", json={"refreshToken": login["refreshToken"]})
        return response.status_code

    async def enter() -> int:
        return (await alone.http.post("/api/v1/auth/login", json=body)).status_code

    statuses = await asyncio.gather(
        *(work() for _ in range(6) for work in (enter, refresh)), delete(alone, login)
    )

    assert {status for status in statuses if isinstance(status, int)} <= {200, 401, 503}  # It may be busy.
    assert rows(database, "SELECT count(*) FROM gateway.session") == [(0,)]
    assert rows(database, "SELECT count(*) FROM gateway.retired_token") == [(0,)]


async def test_a_freed_name_cannot_be_taken_for_some_days(alone: Gateway, database: Database) -> None:
    await delete(alone, await join(alone))
    ((kept, free_at),) = rows(database, "SELECT name_hash, free_at FROM gateway.freed_name")

    assert code(await register(alone, "aDA")) == (409, "username_taken")
    assert (await register(alone, "ada2")).status_code == 201
    assert len(kept) == 32
    assert free_at == free_at.replace(hour=0, minute=0, second=0, microsecond=0)
    alone.clock.advance(29 * 86_400)
    assert code(await register(alone, "Ada")) == (409, "username_taken")
    alone.clock.advance(2 * 86_400)
    assert (await register(alone, "Ada")).status_code == 201


async def test_a_name_is_not_taken_in_the_moment_in_which_it_is_freed(alone: Gateway) -> None:
    login = await join(alone)
    outcomes = await asyncio.gather(*(register(alone) for _ in range(6)), delete(alone, login))

    assert [response.status_code for response in outcomes] == [409] * 6 + [204]


async def test_without_a_key_a_name_can_be_taken_at_once(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(ready=False, score_target="dns:///localhost:1")
    await delete(gateway, await join(gateway))

    assert (await register(gateway)).status_code == 201


async def test_sockets_and_streams_of_all_processes_end(
    start_gateway: StartGateway, score_service: ScoreService
) -> None:
    one, other = [await start_gateway(score_target=score_service.target) for _ in range(2)]
    login = await join(one)
    headers = {"Authorization": f"Bearer {login['accessToken']}"}
    url = other.url.replace("http", "ws") + "/api/v1/leaderboard/ws"
    async with (
        connect(url, additional_headers=headers, proxy=None) as socket,
        one.http.stream("GET", "/api/v1/leaderboard/events", headers=headers) as stream,
    ):
        await socket.recv()
        lines = stream.aiter_lines()
        await anext(lines)
        assert (await delete(one, login)).status_code == 204
        async with asyncio.timeout(20):
            assert [line async for line in lines][-2:] == [": a valid access token is needed", ""]
            await socket.wait_closed()
    assert socket.close_code == 4401
    assert code(await get(other, "/leaderboard", login)) == (401, "unauthenticated")


async def test_points_stay_as_those_of_a_former_player(gateway: Gateway) -> None:
    ada, bob = await join(gateway), await gateway.player("bob")
    player = Player(gateway.http, ada["user"]["userId"], "Ada", ada["accessToken"])
    token, spare = await player.start(), await player.start()
    assert (await player.complete(token)).status_code == 200
    url = gateway.url.replace("http", "ws") + "/api/v1/leaderboard/ws"
    async with connect(url, additional_headers=bob.headers, proxy=None) as socket:
        initial = json.loads(await socket.recv())
        assert [row["username"] for row in initial["data"]["leaderboard"]] == ["Ada"]
        assert (await delete(gateway, ada)).status_code == 204
        update = json.loads(await socket.recv())
    page = (await bob.get("/leaderboard")).json()

    assert update["event"] == "leaderboard:update"
    assert update["data"]["changedRanks"] == [1]
    for entries in (update["data"]["leaderboard"], page["entries"]):
        assert entries == [{"rank": 1, "userId": player.user_id, "username": "former player", "score": 5}]
    assert code(await player.complete(spare)) == (401, "unauthenticated")


async def test_no_attempt_is_counted_once_the_account_is_gone(gateway: Gateway, database: Database) -> None:
    ada = await join(gateway)
    user_id = ada["user"]["userId"]
    player = Player(gateway.http, user_id, "Ada", ada["accessToken"])
    token, late = await player.start(), await player.start()
    await player.complete(token, "wrong")
    assert rows(database, "SELECT user_id FROM gateway.action_token") == [(user_id,)]
    assert (await delete(gateway, ada)).status_code == 204
    assert rows(database, "SELECT user_id FROM gateway.action_token") == []
    # As on another process that has not heard of it yet.
    departed = gateway.running.parts.access_tokens._departed
    departed._until.clear()  # type: ignore[attr-defined]

    assert code(await player.complete(late)) == (401, "unauthenticated")
    assert rows(database, "SELECT user_id FROM gateway.action_token") == []


def award(number: int) -> ledger.RecordedAward:
    recorded_at = Timestamp()
    recorded_at.FromDatetime(datetime(2026, 11, 30, tzinfo=UTC))
    reversal = types_pb2.Reversal(
        reversal_id=str(uuid.uuid4()), award_id=str(uuid.UUID(int=number)), recorded_at=recorded_at
    )
    return ledger.RecordedAward(
        award_id=str(uuid.UUID(int=number)),
        revision=number,
        user_id="ada",
        points=5,
        total=5 * number,
        action_type="puzzle",
        action_id="quick",
        caller="spiffe://laurel.local/action-gateway",
        recorded_at=recorded_at,
        periods=["day:2026-11-30"],
        reversal=reversal if number == 1 else None,
    )


async def test_an_export_has_account_sessions_and_awards(
    start_gateway: StartGateway, score_server: ScriptedServer
) -> None:
    score_server.script(
        "ListAwards",
        answer(ledger.ListAwardsResponse(awards=[award(2)], next_page_token="more")),
        answer(ledger.ListAwardsResponse(awards=[award(1)])),
    )
    gateway = await start_gateway(ready=False, score_target=score_server.target)
    login = await join(gateway)
    exported = (await get(gateway, "/account/export", login)).json()
    asked = [call.request for call in score_server.calls("ListAwards")]

    assert exported["account"].keys() == {"userId", "username", "createdAt", "roles"}
    assert (exported["account"]["userId"], exported["account"]["username"]) == (
        login["user"]["userId"],
        "Ada",
    )
    assert [session.keys() for session in exported["sessions"]] == [{"expiresAt", "renewedAt"}]
    assert [one["revision"] for one in exported["awards"]] == [2, 1]
    assert exported["awards"][0] == {
        "boardId": "main",
        "awardId": str(uuid.UUID(int=2)),
        "revision": 2,
        "points": 5,
        "total": 10,
        "actionType": "puzzle",
        "actionId": "quick",
        "recordedAt": "2026-11-30T00:00:00Z",
        "occurredAt": None,
        "periods": ["day:2026-11-30"],
        "reversedAt": None,
    }
    assert exported["awards"][1]["reversedAt"] == "2026-11-30T00:00:00Z"
    assert "nextPageToken" not in exported
    assert "archivedBoards" not in exported
    assert "password" not in json.dumps(exported).lower()
    assert [(one.board_id, one.user_id, one.page_token) for one in asked] == [
        ("main", login["user"]["userId"], ""),
        ("main", login["user"]["userId"], "more"),
    ]


async def test_a_long_export_goes_on_where_its_page_ended(
    start_gateway: StartGateway, score_server: ScriptedServer
) -> None:
    many = ledger.ListAwardsResponse(awards=[award(2)] * 1000, next_page_token="more")
    score_server.script(
        "ListAwards", *[answer(many)] * 5, answer(ledger.ListAwardsResponse(awards=[award(1)]))
    )
    gateway = await start_gateway(ready=False, score_target=score_server.target)
    login = await join(gateway)
    first = (await get(gateway, "/account/export", login)).json()
    second = (await get(gateway, f"/account/export?pageToken={first['nextPageToken']}", login)).json()

    assert (len(first["awards"]), len(second["awards"])) == (5000, 1)
    assert "nextPageToken" not in second
    for token in ("other/x", "main", "main/", "/", "x" * 1025):
        response = await get(gateway, f"/account/export?pageToken={token}", login)
        assert response.status_code in {422, 429}


async def test_an_export_says_what_the_policy_of_the_score_service_lacks(
    start_gateway: StartGateway, score_server: ScriptedServer
) -> None:
    score_server.script(
        "ListAwards",
        reject(grpc.StatusCode.PERMISSION_DENIED, "NOT_ALLOWED"),
        reject(grpc.StatusCode.UNIMPLEMENTED),
        reject(grpc.StatusCode.NOT_FOUND, "BOARD_NOT_FOUND"),
    )
    gateway = await start_gateway(ready=False, score_target=score_server.target)
    login = await join(gateway)
    for _ in range(2):
        denied = await get(gateway, "/account/export", login)
        assert code(denied) == (502, "score_service_denied")
        assert denied.json()["methods"] == ["score_api.v1.LedgerService/ListAwards"]

    assert (await get(gateway, "/account/export", login)).json()["awards"] == []


async def test_an_export_names_the_boards_of_which_older_awards_are_archived(
    start_gateway: StartGateway, score_server: ScriptedServer
) -> None:
    page = ledger.ListAwardsResponse(awards=[award(9)], archived_revision=7)
    score_server.script("ListAwards", answer(page))
    gateway = await start_gateway(ready=False, score_target=score_server.target)
    exported = (await get(gateway, "/account/export", await join(gateway))).json()

    assert [one["revision"] for one in exported["awards"]] == [9]
    assert exported["archivedBoards"] == ["main"]


async def test_exports_are_limited(start_gateway: StartGateway, score_server: ScriptedServer) -> None:
    score_server.script("ListAwards", answer(ledger.ListAwardsResponse()))
    gateway = await start_gateway(ready=False, score_target=score_server.target, exports_per_minute=1)
    login = await join(gateway)

    assert (await get(gateway, "/account/export", login)).status_code == 200
    assert code(await get(gateway, "/account/export", login)) == (429, "rate_limited")


async def test_another_process_learns_of_a_departure_while_it_starts(
    alone: Gateway, start_gateway: StartGateway
) -> None:
    login = await join(alone)
    await delete(alone, login)
    late = await start_gateway(
        ready=False,
        score_target="dns:///localhost:1",
        access_keys_dir=alone.settings.access_keys_dir,
    )

    async def is_known() -> bool:
        return (await get(late, "/moderation/boards", login)).status_code == 401

    await eventually(is_known)
