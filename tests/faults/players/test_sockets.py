"""Followers of a real gateway's board, whose connections are broken."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.gateway import Gateway

from faults.load.observer import Observer
from faults.model.history import Closed, History, Message
from faults.network.proxy import Proxy
from faults.players.account import Account
from faults.players.gateway_client import GatewayClient
from faults.players.player import Completion, Player
from faults.players.sockets import EventFollower, Follower, SocketFollower, read_events

_KINDS = [SocketFollower, EventFollower]


@pytest.fixture
async def player(gateway: Gateway) -> AsyncIterator[Player]:
    """Return a player whose connections nobody breaks."""
    client = GatewayClient.to(gateway.url)
    async with client.http:
        yield Player(Account(client, "ada-lovelace"), client, History(), random.Random(1))


@asynccontextmanager
async def _following(kind: type[Follower], player: Player, proxy: Proxy) -> AsyncIterator[Observer]:
    client = GatewayClient.to(f"http://127.0.0.1:{proxy.port}")
    observer = Observer(name="stream-1", board_id="main", history=History())
    async with client.http:
        follower = kind(observer, player.account, client, random.Random(1))
        task = asyncio.create_task(follower.run())
        try:
            yield observer
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _score(player: Player) -> int:
    token = await player.start("quick")
    assert token is not None
    call = await player.complete(Completion(token, "yes", None))
    assert call.result is not None
    return call.result.total


async def _until(condition: Callable[[], bool]) -> None:
    async def holds() -> bool:
        return condition()

    await eventually(holds)


def _messages(observer: Observer) -> list[Message]:
    return [event for event in observer.history.events if isinstance(event, Message)]


def _shows(observer: Observer, player: Player, total: int) -> Callable[[], bool]:
    def shows() -> bool:
        tops = [row.total for row in observer.top if row.user_id == player.account.user_id]
        return tops == [total] and observer.totals.get(player.account.user_id or "") == total

    return shows


@pytest.mark.parametrize("kind", _KINDS)
async def test_all_three_messages_are_recorded(kind: type[Follower], player: Player, proxy: Proxy) -> None:
    async with _following(kind, player, proxy) as observer:
        await _until(lambda: bool(_messages(observer)))
        await _until(_shows(observer, player, await _score(player)))
    events = {message.event: message for message in _messages(observer)}
    assert [*events] == ["leaderboard:initial", "leaderboard:update", "score:update"]
    initial, update, score = events.values()
    assert (initial.revision, update.revision, score.revision) == (0, 1, 1)
    assert initial.scores == ((player.account.user_id, 0, None, None, None),)
    assert score.scores == update.top == ((player.account.user_id, 5, 1, None, None),)
    assert {message.user_id for message in events.values()} == {player.account.user_id}
    assert (score.position is not None) == (kind is EventFollower)


@pytest.mark.parametrize("kind", _KINDS)
async def test_follower_reconnects_and_shows_what_it_missed(
    kind: type[Follower], player: Player, proxy: Proxy
) -> None:
    async with _following(kind, player, proxy) as observer:
        await _until(_shows(observer, player, await _score(player)))
        proxy.hold()
        total = await _score(player)
        proxy.reset()
        proxy.release()
        await _until(_shows(observer, player, total))
        assert observer.connection > 0
    assert any(isinstance(event, Closed) for event in observer.history.events)


async def test_event_stream_resumes_with_its_last_id(player: Player, proxy: Proxy) -> None:
    async with _following(EventFollower, player, proxy) as observer:
        await _until(_shows(observer, player, await _score(player)))
        proxy.hold()
        await _score(player)
        proxy.reset()
        proxy.release()
        # Only a stream that resumes from a position gets the score that it missed after the leaderboard.
        await _until(
            lambda: [one.event for one in _messages(observer)][-2:] == ["leaderboard:initial", "score:update"]
        )


@pytest.mark.parametrize("kind", _KINDS)
async def test_follower_with_a_token_that_is_no_good_gets_another(
    kind: type[Follower], player: Player, proxy: Proxy
) -> None:
    await player.account.token()
    player.account._access_token = "no good"
    async with _following(kind, player, proxy) as observer:
        await _until(lambda: bool(_messages(observer)))
    reasons = [event.reason for event in observer.history.events if isinstance(event, Closed)]
    assert reasons == ["4401" if kind is SocketFollower else "401"]


@pytest.mark.parametrize("kind", _KINDS)
async def test_gateway_that_is_unavailable_is_tried_again(
    kind: type[Follower], player: Player, proxy: Proxy
) -> None:
    await player.account.token()
    upstream, proxy.upstream = proxy.upstream, "127.0.0.1:1"
    async with _following(kind, player, proxy) as observer:
        await _until(lambda: observer.connection > 1)
        proxy.upstream = upstream
        await _until(lambda: bool(_messages(observer)))


async def test_event_without_its_empty_line_is_none() -> None:
    async def lines() -> AsyncIterator[str]:
        for line in (
            "event: a",
            "data: 1",
            "id: 1-x",
            "",
            ": alive",
            "",
            "data: 2",
            "",
            "data: 3",
            "id: 3-x",
        ):
            yield line

    assert [event async for event in read_events(lines())] == [("1", "1-x"), ("2", None)]
