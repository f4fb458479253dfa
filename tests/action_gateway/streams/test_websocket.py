"""The WebSocket, on a real server."""

import asyncio
import json
import socket as sockets
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.action_gateway.scripted_board import day_of
from tests.fixtures.clients.realtime import Realtime, StartRealtime, close_code, receive
from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Frame, Opcode

from action_gateway.streams.connection import Connection


def auth(token: str) -> str:
    return json.dumps({"type": "auth", "accessToken": token})


def seconds_left(connection: Connection) -> float:
    return (connection.limit.when() or 0.0) - asyncio.get_running_loop().time()


async def initial(socket: ClientConnection) -> Any:
    message = await receive(socket)
    assert message["event"] == "leaderboard:initial"
    return message["data"]


async def test_a_client_with_a_token_on_the_handshake_receives_the_current_state(realtime: Realtime) -> None:
    async with realtime.connected("u1") as socket:
        assert await receive(socket) == {
            "event": "leaderboard:initial",
            "revision": 1,
            "data": {
                "leaderboard": [{"rank": 1, "userId": "u1", "username": "u1", "score": 10}],
                "me": {"rank": 1, "score": 10},
                "period": None,
            },
        }


async def test_a_browser_authenticates_in_its_first_message(realtime: Realtime) -> None:
    async with realtime.connected(None) as socket:
        await socket.send(auth(realtime.token("u2")))
        assert (await initial(socket))["me"] == {"rank": None, "score": 0}


async def test_everyone_receives_the_leaderboard_and_only_the_user_the_score(realtime: Realtime) -> None:
    async with realtime.connected("u1") as mine, realtime.connected("u2") as another:
        await initial(mine)
        await initial(another)
        realtime.board.award("u1", 5)
        received = [await receive(mine), await receive(mine), await receive(another)]
        assert [one["event"] for one in received] == [
            "leaderboard:update",
            "score:update",
            "leaderboard:update",
        ]
        assert received[1]["data"] == {"userId": "u1", "newScore": 15, "newRank": 1}
        assert received[2]["data"] == {
            "leaderboard": [{"rank": 1, "userId": "u1", "username": "u1", "score": 15}],
            "changedRanks": [1],
        }
        assert {one["revision"] for one in received} == {2}
        realtime.board.award("u2", 1)
        assert (await receive(another))["event"] == "leaderboard:update"
        assert (await receive(another))["event"] == "score:update"


async def test_sent_messages_are_counted(realtime: Realtime) -> None:
    async with realtime.connected() as socket:
        await initial(socket)
        realtime.board.award("u2", 5)
        await receive(socket)
        await realtime.until(
            lambda: realtime.metric(
                "gateway_socket_messages_sent_total", kind="websocket", event="leaderboard:update"
            )
        )
        assert realtime.metric("gateway_sockets", kind="websocket") == 1


async def test_a_disconnected_client_frees_its_resources(realtime: Realtime) -> None:
    async with realtime.connected() as socket:
        await initial(socket)
    await realtime.until(lambda: not realtime.metric("gateway_sockets", kind="websocket"))
    assert not realtime.feed.audience.user_ids
    assert not realtime.connections._by_user


async def test_a_client_that_disappears_frees_its_resources(realtime: Realtime) -> None:
    async with realtime.connected() as socket:
        await initial(socket)
        socket.transport.abort()
        await realtime.until(lambda: not realtime.metric("gateway_sockets", kind="websocket"))
        assert not realtime.feed.audience.user_ids


async def test_a_bad_token_in_the_first_message_closes_with_4401(realtime: Realtime) -> None:
    for token in ("nonsense", "", "a.b.c", "ü", "\x00"):
        async with realtime.connected(None) as socket:
            await socket.send(auth(token))
            assert await close_code(socket) == 4401


async def test_no_token_in_the_first_message_closes_with_4401(realtime: Realtime) -> None:
    async with realtime.connected(None) as socket:
        await socket.send('{"type":"auth"}')
        assert await close_code(socket) == 4401


async def test_a_bad_token_on_the_handshake_closes_with_4401(realtime: Realtime) -> None:
    for header in ("Bearer nonsense", "Bearer", "Basic dTE6dTE=", ""):
        async with realtime.connected(None, headers={"Authorization": header}) as socket:
            assert await close_code(socket) == 4401


async def test_an_expired_token_closes_with_4401(realtime: Realtime) -> None:
    token = realtime.token()
    realtime.clock.now += 901
    async with realtime.connected(token=token) as socket:
        assert await close_code(socket) == 4401


async def test_a_token_in_the_url_is_neither_accepted_nor_logged(
    start_realtime: StartRealtime, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    realtime = await start_realtime(auth_seconds=0.1)
    token = realtime.token()
    with caplog.at_level("INFO"):
        async with connect(f"{realtime.socket_url}?access_token={token}", proxy=None) as socket:
            assert await close_code(socket) == 4408
    assert token not in caplog.text
    assert token not in capsys.readouterr().out


async def test_a_client_that_does_not_authenticate_in_time_is_closed_with_4408(
    start_realtime: StartRealtime,
) -> None:
    realtime = await start_realtime(auth_seconds=0.05)
    async with realtime.connected(None) as socket:
        assert await close_code(socket) == 4408


async def test_a_socket_is_closed_with_4401_when_its_token_expires(realtime: Realtime) -> None:
    async with realtime.connected(token=realtime.token()) as socket:
        await initial(socket)
        (connection,) = realtime.connections._open
        assert 0 < seconds_left(connection) <= 900
        connection.limit.reschedule(0)
        assert await close_code(socket) == 4401
        reason = realtime.metric("gateway_socket_evictions_total", kind="websocket", reason="unauthenticated")
        assert reason == 1


async def test_another_token_of_the_same_user_keeps_the_socket_open_for_longer(realtime: Realtime) -> None:
    async with realtime.connected(token=realtime.token()) as socket:
        await initial(socket)
        (connection,) = realtime.connections._open
        realtime.clock.now += 800
        await socket.send(auth(realtime.token()))
        await realtime.until(lambda: seconds_left(connection) > 800)
        realtime.board.award("u1", 1)
        assert (await receive(socket))["event"] == "leaderboard:update"


async def test_a_token_of_another_user_closes_an_open_socket_with_4401(realtime: Realtime) -> None:
    async with realtime.connected("u1") as socket:
        await initial(socket)
        await socket.send(auth(realtime.token("u2")))
        assert await close_code(socket) == 4401


async def test_a_page_of_another_origin_is_closed_with_4403(realtime: Realtime) -> None:
    for origin in ("https://evil.example.org", "null", "http://play.example.org"):
        async with realtime.connected(origin=origin) as socket:
            assert await close_code(socket) == 4403


async def test_a_listed_page_and_one_of_the_same_host_are_accepted(realtime: Realtime) -> None:
    for origin in ("https://play.example.org", f"http://{realtime.listener.address}"):
        async with realtime.connected(origin=origin) as socket:
            await initial(socket)


@pytest.mark.parametrize("user_id", ["u1", None])
async def test_an_invalid_message_closes_with_1008(realtime: Realtime, user_id: str | None) -> None:
    for message in (b"\x00\x01", "hello", '{"type":"hello"}', "[" * 4000, "7", ""):
        async with realtime.connected(user_id) as socket:
            await socket.send(message)
            assert await close_code(socket) == 1008


async def test_too_many_messages_close_with_1008(realtime: Realtime) -> None:
    async with realtime.connected("u1") as socket:
        await initial(socket)
        for _ in range(11):
            await socket.send(auth(realtime.token("u1")))
        assert await close_code(socket) == 1008


async def test_the_longest_message_is_read_and_a_longer_one_closes_with_1009(realtime: Realtime) -> None:
    message = auth(realtime.token("u1"))
    async with realtime.connected(None) as socket:
        await socket.send(message.ljust(4096))
        await initial(socket)
        await socket.send(message.ljust(4097))
        assert await close_code(socket) == 1009


async def test_a_message_in_fragments_is_bounded_as_a_whole(realtime: Realtime) -> None:
    async with realtime.connected(None) as socket:
        await socket.send([" " * 1000] * 5)
        assert await close_code(socket) == 1009


async def test_text_that_is_not_utf8_closes_with_1007(realtime: Realtime) -> None:
    async with realtime.connected("u1") as socket:
        await initial(socket)
        async with socket.send_context():
            socket.protocol.send_frame(Frame(Opcode.TEXT, b"\xff\xfe"))
        assert await close_code(socket) == 1007


async def test_a_socket_above_the_limit_is_closed_with_1013(start_realtime: StartRealtime) -> None:
    realtime = await start_realtime(limit=1)
    async with realtime.connected("u1") as first, realtime.connected("u2") as second:
        await initial(first)
        assert await close_code(second) == 1013
    await realtime.until(lambda: not realtime.metric("gateway_sockets", kind="websocket"))
    async with realtime.connected("u2") as third:
        await initial(third)


async def test_a_socket_above_the_limit_of_a_user_is_closed_with_1013(start_realtime: StartRealtime) -> None:
    realtime = await start_realtime(limit_per_user=1)
    async with realtime.connected("u1") as first, realtime.connected("u1") as second:
        await initial(first)
        assert await close_code(second) == 1013
        async with realtime.connected("u2") as another:
            await initial(another)


async def test_a_socket_is_closed_with_1013_while_the_score_service_is_unavailable(
    realtime: Realtime,
) -> None:
    async with realtime.connected("u1") as first:
        await initial(first)
        realtime.board.unavailable = True
        async with realtime.connected("u2") as second:
            assert await close_code(second) == 1013
        realtime.board.unavailable = False
        realtime.board.award("u1", 1)
        assert (await receive(first))["event"] == "leaderboard:update"


async def test_a_restart_closes_every_socket_with_1012(realtime: Realtime) -> None:
    async with (
        realtime.connected("u1") as first,
        realtime.connected("u2") as second,
        realtime.connected(None) as silent,
    ):
        await initial(first)
        await initial(second)
        await realtime.until(lambda: realtime.metric("gateway_sockets", kind="websocket") == 3)
        closing = asyncio.create_task(realtime.connections.close_all(within=0.5))
        assert [await close_code(one) for one in (first, second, silent)] == [1012] * 3
        await closing
        async with realtime.connected("u1") as late:
            assert await close_code(late) == 1012


async def test_an_unexpected_failure_closes_with_1011_without_details(
    realtime: Realtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("a detail")

    monkeypatch.setattr(realtime.feed, "open", fail)
    async with realtime.connected("u1") as socket:
        assert await close_code(socket) == 1011
        assert socket.close_reason == "the server failed"


def narrow_socket(realtime: Realtime) -> sockets.socket:
    """Connect a socket that takes in little before it has to be read."""
    address = realtime.listener.address
    narrow = sockets.socket()
    narrow.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    narrow.connect((address.host, address.port))
    narrow.setblocking(False)
    return narrow


async def test_a_socket_that_is_not_read_is_closed_with_1013_and_delays_no_other(
    start_realtime: StartRealtime,
) -> None:
    realtime = await start_realtime(write_seconds=0.3, close_seconds=10, name_length=200_000)
    async with (
        realtime.connected("u1", max_size=None) as quick,
        realtime.connected("u1", sock=narrow_socket(realtime), max_queue=1, max_size=None) as stalled,
    ):
        await initial(quick)
        total = 10
        while not realtime.metric("gateway_socket_evictions_total", kind="websocket", reason="too_slow"):
            realtime.board.award("u1", 1)
            total += 1
            while (message := await receive(quick))["event"] != "score:update":
                pass
            assert message["data"]["newScore"] == total
        assert await close_code(stalled) == 1013


async def test_a_socket_that_is_never_read_is_released(start_realtime: StartRealtime) -> None:
    realtime = await start_realtime(write_seconds=0.1, name_length=200_000)
    async with realtime.connected("u1", sock=narrow_socket(realtime), max_queue=1, max_size=None) as stalled:
        await realtime.until(lambda: realtime.feed.audience.user_ids)
        async with asyncio.timeout(60):
            while realtime.metric("gateway_sockets", kind="websocket"):
                realtime.board.award("u1", 1)
                await asyncio.sleep(0.01)
        assert not realtime.feed.audience.user_ids
        stalled.transport.abort()


async def test_a_rejected_origin_is_logged_with_the_host_it_was_compared_with(realtime: Realtime) -> None:
    headers = {"Origin": "https://play.example.net" + "x" * 1000}
    with capture_logs() as lines:
        for _ in range(3):
            async with realtime.connected(headers=headers) as socket:
                assert await close_code(socket) == 4403
    rejected = [line for line in lines if line["event"] == "origin_rejected"]
    assert 1 <= len(rejected) <= 3
    assert rejected[0]["origins"] == [headers["Origin"][:200]]
    assert rejected[0]["host"] == str(realtime.listener.address)
    assert rejected[0]["left_out"] == 0


async def test_a_socket_of_a_period_turns_over_with_it(realtime: Realtime) -> None:
    realtime.board.periods["day"] = day_of(1)
    realtime.board.award("u1", 5)
    async with realtime.connected("u1", period="day") as socket, realtime.connected("u1") as all_time:
        first = await initial(socket)
        assert (first["me"]["score"], first["period"]["id"]) == (5, "day:2026-12-01")
        assert (await initial(all_time))["me"]["score"] == 15
        realtime.board.turn_over("day", day_of(2))
        message = await receive(socket)
        assert (message["event"], message["data"]["period"]["id"]) == ("leaderboard:period", "day:2026-12-02")
        second = await initial(socket)
        assert (second["leaderboard"], second["period"]["id"]) == ([], "day:2026-12-02")
    await realtime.until(lambda: realtime.feeds.count == 1)


@pytest.mark.parametrize("period", ["month", "tomorrow", "day:2026-12-24"])
async def test_a_socket_of_an_unknown_period_is_closed_with_a_code_of_its_own(
    realtime: Realtime, period: str
) -> None:
    async with realtime.connected(period=period) as socket:
        assert await close_code(socket) == 4404
    await realtime.until(lambda: realtime.feeds.count == 1)
    assert realtime.metric("gateway_socket_evictions_total", kind="websocket", reason="period_unknown") == 1


async def test_a_socket_is_closed_when_its_season_has_no_next_one(realtime: Realtime) -> None:
    realtime.board.periods["season"] = day_of(1)
    async with realtime.connected(period="season") as socket:
        await initial(socket)
        realtime.board.end("season")
        assert await close_code(socket) == 4404


async def test_too_many_periods_at_a_time_are_rejected(realtime: Realtime) -> None:
    ids = [f"day:2026-12-0{number}" for number in (1, 2, 3)]
    for number, period in enumerate(ids, start=1):
        realtime.board.periods[period] = day_of(number)
    async with realtime.connected(period=ids[0]) as one, realtime.connected(period=ids[1]) as other:
        await initial(one)
        await initial(other)
        async with realtime.connected(period=ids[2]) as socket:
            assert await close_code(socket) == 1013
