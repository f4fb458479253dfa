"""The event stream, on a real server."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
from tests.action_gateway.scripted_board import ScriptedBoard, day_of
from tests.fixtures.clients.realtime import EventReader, Realtime, ServerSentEvent, StartRealtime

PATH = "/api/v1/leaderboard/events"


def names(events: list[ServerSentEvent]) -> list[str]:
    return [event.event for event in events]


async def test_a_stream_begins_with_the_current_state(realtime: Realtime) -> None:
    async with realtime.streaming("u1") as stream:
        assert stream.response.status_code == 200
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        assert stream.response.headers["cache-control"] == "no-store"
        assert stream.response.headers["x-accel-buffering"] == "no"
        (initial,) = await stream.take(1)
        assert initial == ServerSentEvent(
            "leaderboard:initial",
            {
                "event": "leaderboard:initial",
                "revision": 1,
                "data": {
                    "leaderboard": [{"rank": 1, "userId": "u1", "username": "u1", "score": 10}],
                    "me": {"rank": 1, "score": 10},
                    "period": None,
                },
            },
            "a-1",
        )


async def test_the_position_stands_on_the_last_event_of_a_revision_only(realtime: Realtime) -> None:
    async with realtime.streaming("u1") as stream:
        events = stream.events()
        await anext(events)
        realtime.board.award("u1", 5)
        update, score = await anext(events), await anext(events)
        assert names([update, score]) == ["leaderboard:update", "score:update"]
        assert (update.id, score.id) == (None, "a-2")
        assert score.data["data"] == {"userId": "u1", "newScore": 15, "newRank": 1}
        realtime.board.award("u2", 1)
        lone = await anext(events)
        assert (lone.event, lone.id) == ("leaderboard:update", "a-3")


async def test_an_empty_board_has_no_position(board: ScriptedBoard, start_realtime: StartRealtime) -> None:
    board.start_another_history({})
    realtime = await start_realtime()
    async with realtime.streaming("u1") as stream:
        (initial,) = await stream.take(1)
        assert initial.id is None
        assert initial.data["data"] == {"leaderboard": [], "me": {"rank": None, "score": 0}, "period": None}


async def test_an_idle_stream_sends_keep_alives(start_realtime: StartRealtime) -> None:
    realtime = await start_realtime(alive_seconds=0.02)
    async with realtime.streaming() as stream:
        reading = asyncio.create_task(stream.rest())
        await realtime.until(lambda: stream.comments.count("keep-alive") >= 3)
        reading.cancel()


async def test_a_resuming_client_receives_the_score_it_missed(realtime: Realtime) -> None:
    async with realtime.streaming("u1") as stream:
        (initial,) = await stream.take(1)
    for points in (5, 6):
        realtime.board.award("u1", points)
    realtime.board.award("u2", 1)
    async with realtime.streaming("u1", last_event_id=initial.id) as stream:
        first, missed = await stream.take(2)
    assert names([first, missed]) == ["leaderboard:initial", "score:update"]
    assert (first.id, missed.id) == (None, "a-4")
    assert missed.data["data"] == {"userId": "u1", "newScore": 21, "newRank": 1}


async def test_a_resuming_client_that_missed_nothing_receives_nothing_more(realtime: Realtime) -> None:
    realtime.board.award("u2", 5)
    async with realtime.streaming("u1", last_event_id="a-1") as stream:
        events = stream.events()
        assert (await anext(events)).event == "leaderboard:initial"
        realtime.board.award("u1", 1)
        following = [await anext(events), await anext(events)]
        assert names(following) == ["leaderboard:update", "score:update"]
        assert following[1].data["data"]["newScore"] == 11


async def test_an_invalid_position_is_ignored(realtime: Realtime) -> None:
    authorization = f"Bearer {realtime.token()}".encode()
    for position in (b"", b"nonsense", b"a-", b"-1", b"b-7", b"a-99", b"x" * 5000, b"\xff", b"a 1", b"a\t1"):
        headers = {b"Authorization": authorization, b"Last-Event-ID": position}
        async with realtime.http.stream("GET", PATH, headers=headers) as response:
            assert response.status_code == 200
            events = EventReader(response).events()
            assert (await anext(events)).event == "leaderboard:initial"
            assert names(await come_to_a_position(realtime, events)) == ["leaderboard:update"]


async def test_a_resumed_stream_has_the_same_scores_as_an_uninterrupted_one(realtime: Realtime) -> None:
    position = None
    received: list[ServerSentEvent] = []
    async with realtime.streaming("u1") as staying:
        stayed = staying.events()
        for n in range(6):
            if n % 2:
                realtime.board.award("u1", 3)
                await realtime.until(lambda: realtime.feed.board.revision == realtime.board.revision)
            async with realtime.streaming("u1", last_event_id=position) as coming_back:
                events = coming_back.events()
                assert (await anext(events)).event == "leaderboard:initial"
                received += await come_to_a_position(realtime, events)
                position = received[-1].id
        realtime.board.award("u1", 1)
        kept = [await anext(stayed)]
        while score_of(kept[-1]) != 20:
            kept.append(await anext(stayed))
    assert list(filter(None, map(score_of, received))) == [13, 16, 19]
    assert list(filter(None, map(score_of, kept))) == [13, 16, 19, 20]


async def come_to_a_position(
    realtime: Realtime, events: AsyncIterator[ServerSentEvent]
) -> list[ServerSentEvent]:
    """Let another user score until the stream has a position, and return the events up to it."""
    received: list[ServerSentEvent] = []
    while not received or received[-1].id is None:
        realtime.board.award("u2", 1)
        received.append(await anext(events))
    return received


def score_of(event: ServerSentEvent) -> int | None:
    score: int | None = event.data["data"].get("newScore")
    return score


async def test_without_a_token_there_is_a_problem_and_no_stream(realtime: Realtime) -> None:
    response = await realtime.http.get(PATH)
    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
    assert response.headers["www-authenticate"] == "Bearer"


async def test_a_stream_above_the_limit_is_answered_503(start_realtime: StartRealtime) -> None:
    realtime = await start_realtime(limit=1)
    async with realtime.streaming("u1") as first:
        await first.take(1)
        response = await realtime.http.get(PATH, headers={"Authorization": f"Bearer {realtime.token('u2')}"})
        assert (response.status_code, response.json()["code"]) == (503, "unavailable")
        assert int(response.headers["retry-after"]) > 0


async def test_a_stream_above_the_limit_of_a_user_is_answered_429(start_realtime: StartRealtime) -> None:
    realtime = await start_realtime(limit_per_user=1)
    async with realtime.streaming("u1") as first:
        await first.take(1)
        response = await realtime.http.get(PATH, headers={"Authorization": f"Bearer {realtime.token('u1')}"})
        assert (response.status_code, response.json()["code"]) == (429, "rate_limited")


async def test_sockets_and_streams_share_the_limit_of_a_user(start_realtime: StartRealtime) -> None:
    realtime = await start_realtime(limit_per_user=1)
    async with realtime.connected("u1") as socket:
        await socket.recv()
        response = await realtime.http.get(PATH, headers={"Authorization": f"Bearer {realtime.token('u1')}"})
        assert response.status_code == 429


async def test_a_stream_cannot_begin_while_the_score_service_is_unavailable(realtime: Realtime) -> None:
    async with realtime.streaming("u1") as stream:
        await stream.take(1)
    realtime.board.unavailable = True
    response = await realtime.http.get(PATH, headers={"Authorization": f"Bearer {realtime.token()}"})
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")


async def test_a_disconnected_client_frees_its_resources(realtime: Realtime) -> None:
    async with realtime.streaming("u1") as stream:
        await anext(stream.events())
        assert realtime.metric("gateway_sockets", kind="sse") == 1
    await realtime.until(lambda: not realtime.metric("gateway_sockets", kind="sse"))
    assert not realtime.feed.audience.user_ids
    assert not realtime.connections._by_user
    assert not realtime.listener.server_state.tasks


async def test_a_stream_ends_when_its_token_expires(realtime: Realtime) -> None:
    async with realtime.streaming("u1") as stream:
        events = stream.events()
        await anext(events)
        (connection,) = realtime.connections._open
        left = (connection.limit.when() or 0) - asyncio.get_running_loop().time()
        assert 0 < left <= 900
        connection.limit.reschedule(0)
        assert [event async for event in events] == []
        assert stream.comments == ["a valid access token is needed"]
        assert stream.retry is None


async def test_a_restart_ends_every_stream_with_a_retry_time(realtime: Realtime) -> None:
    async with realtime.streaming("u1") as stream:
        events = stream.events()
        await anext(events)
        await realtime.connections.close_all(within=0.2)
        assert [event async for event in events] == []
        assert stream.comments == ["the server restarts; connect again"]
        assert 500 <= (stream.retry or 0) <= 3000
    # A browser takes any status but 200 for the last word.
    async with realtime.streaming("u1") as late:
        assert [event async for event in late.events()] == []
        assert late.comments == ["the server restarts; connect again"]
        assert 500 <= (late.retry or 0) <= 3000


async def test_events_are_counted(realtime: Realtime) -> None:
    async with realtime.streaming("u1") as stream:
        events = stream.events()
        await anext(events)
        realtime.board.award("u1", 5)
        await anext(events)
        await anext(events)
    for event in ("leaderboard:initial", "leaderboard:update", "score:update"):
        labels = {"kind": "sse", "event": event}
        await realtime.until(partial(realtime.metric, "gateway_socket_messages_sent_total", **labels))


@pytest.mark.parametrize("length", [10, 20_000])
async def test_an_unexpected_body_is_not_a_server_error(realtime: Realtime, length: int) -> None:
    headers = {"Authorization": f"Bearer {realtime.token()}"}
    async with realtime.http.stream("GET", PATH, headers=headers, content=b"x" * length) as response:
        assert response.status_code in {200, 413, 422}


async def test_a_stream_that_is_not_read_is_ended_and_delays_no_other(start_realtime: StartRealtime) -> None:
    realtime = await start_realtime(write_seconds=0.2, name_length=200_000)
    reader, writer = await asyncio.open_connection(
        realtime.listener.address.host, realtime.listener.address.port, limit=1024
    )
    request = f"GET {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {realtime.token('u2')}\r\n\r\n"
    writer.write(request.encode())
    assert b"200" in await reader.readline()
    async with realtime.connected("u1", max_size=None) as quick:
        total = 10
        async with asyncio.timeout(60):
            while not realtime.metric("gateway_socket_evictions_total", kind="sse", reason="too_slow"):
                realtime.board.award("u1", 1)
                total += 1
                while f'"newScore":{total}' not in str(await quick.recv())[-100:]:
                    pass
    assert not realtime.metric("gateway_sockets", kind="sse")
    writer.transport.abort()


async def test_a_stream_of_a_period_turns_over_with_it(realtime: Realtime) -> None:
    realtime.board.periods["day"] = day_of(1)
    async with realtime.streaming(period="day") as stream:
        events = stream.events()
        first = await anext(events)
        assert (first.event, first.data["data"]["period"]["id"]) == ("leaderboard:initial", "day:2026-12-01")
        realtime.board.turn_over("day", day_of(2))
        named, again = await anext(events), await anext(events)
        assert (named.event, named.data["data"]["period"]["id"]) == ("leaderboard:period", "day:2026-12-02")
        assert (again.event, again.data["data"]["period"]["id"]) == ("leaderboard:initial", "day:2026-12-02")
        assert (named.id, again.id) == (None, realtime.board.position)


@pytest.mark.parametrize(
    ("period", "answer"),
    [
        ("month", (404, "period_unknown")),
        ("day:2026-12-24", (404, "period_unknown")),
        ("tomorrow", (422, "invalid_request")),
    ],
)
async def test_a_stream_of_an_unknown_period_is_a_problem(
    realtime: Realtime, period: str, answer: tuple[int, str]
) -> None:
    async with realtime.streaming(period=period) as stream:
        await stream.response.aread()
        assert (stream.response.status_code, stream.response.json()["code"]) == answer


async def test_a_stream_ends_when_its_season_has_no_next_one(realtime: Realtime) -> None:
    realtime.board.periods["season"] = day_of(1)
    async with realtime.streaming(period="season") as stream:
        await realtime.until(lambda: realtime.feeds.count == 2)
        await realtime.until(lambda: any(watch.choice == "season" for watch in realtime.board.watches))
        realtime.board.end("season")
        await stream.rest()
        assert stream.comments == ["the leaderboard has no such period"]
