"""Feeds of periods, over a board that the test moves by hand."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.action_gateway.scripted_board import ScriptedBoard, day_of
from tests.fixtures.clocks import SetClock

from action_gateway.errors import PeriodUnknownError, UnavailableError
from action_gateway.leaderboard.board_reader import BoardReader
from action_gateway.leaderboard.feed import Feed
from action_gateway.leaderboard.feeds import Feeds
from action_gateway.leaderboard.subscription import News
from score_client.types import PeriodState


class Nameless:
    """Knows no names."""

    async def names_of(self, user_ids: Iterable[str]) -> dict[str, str | None]:
        return dict.fromkeys(user_ids)


async def until_closed(board: ScriptedBoard, choice: str) -> None:
    await until(lambda: all(watch.choice != choice for watch in board.watches))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the feed brings it about
            await asyncio.sleep(0.002)


def read(news: News) -> list[tuple[str, Any]]:
    messages = [json.loads(message.text) for message in news.messages]
    return [(message["event"], message["data"]) for message in messages]


def score_of(data: Any) -> int:
    return int(data["me"]["score"])


@pytest.fixture
def board() -> ScriptedBoard:
    board = ScriptedBoard()
    board.award("u1", 100)
    board.periods["day"] = day_of(1)
    board.award("u1", 10)
    return board


@pytest.fixture
def clock() -> SetClock:
    """Return the clock of the gateway, just after the second day has begun."""
    return SetClock(day_of(2).starts_at.timestamp() + 1)


@pytest.fixture
async def feeds(board: ScriptedBoard, clock: SetClock) -> AsyncIterator[Feeds]:
    def make_feed(period: str) -> Feed:
        return Feed(BoardReader(board, Nameless(), "main", period), interval=0.001, clock=clock)

    async with Feeds(make_feed, named_max=2) as feeds:
        yield feeds


async def next_news(subscription: Any) -> list[tuple[str, Any]]:
    async with asyncio.timeout(60):
        return read(await subscription.news())


async def test_a_period_is_followed_beside_all_time(feeds: Feeds) -> None:
    with feeds.hold("day") as day, day.subscribe("u1") as today, feeds.hold("") as all_time:
        [(_, shown)] = read(await day.open(today))
        with all_time.subscribe("u1") as ever:
            [(_, whole)] = read(await all_time.open(ever))
    assert (score_of(shown), shown["period"]["id"]) == (10, "day:2026-12-01")
    assert (score_of(whole), whole["period"]) == (110, None)


@pytest.mark.parametrize("choice", ["", "all_time"])
async def test_all_time_has_one_feed_whatever_it_is_called(feeds: Feeds, choice: str) -> None:
    with feeds.hold(choice) as one, feeds.hold("") as other:
        assert one is other
    assert feeds.count == 1


async def test_a_period_has_one_watch_however_many_follow_and_none_when_nobody_does(
    board: ScriptedBoard, feeds: Feeds
) -> None:
    with feeds.hold("day") as one:
        with feeds.hold("day") as other, other.subscribe("u1") as subscription:
            await other.open(subscription)
            assert one is other
            assert [watch.choice for watch in board.watches].count("day") == 1
        assert feeds.count == 2
    assert feeds.count == 1
    await until_closed(board, "day")


async def test_a_follower_is_told_of_the_next_period_and_begins_again(
    board: ScriptedBoard, feeds: Feeds
) -> None:
    with feeds.hold("day") as feed, feed.subscribe("u1") as scorer, feed.subscribe("u2") as idler:
        await feed.open(scorer)
        await feed.open(idler)
        board.turn_over("day", day_of(2))
        for subscription in (scorer, idler):
            (period, named), (initial, shown) = await next_news(subscription)
            assert (period, initial) == ("leaderboard:period", "leaderboard:initial")
            assert named["period"]["id"] == shown["period"]["id"] == "day:2026-12-02"
            assert (shown["leaderboard"], shown["me"]) == ([], {"rank": None, "score": 0})
        board.award("u1", 5)
        assert [event for event, _ in await next_news(scorer)] == ["leaderboard:update", "score:update"]
        [(event, update)] = await next_news(idler)
        assert (event, update["leaderboard"][0]["score"]) == ("leaderboard:update", 5)


async def test_a_period_that_began_while_the_watch_was_interrupted_is_told_all_the_same(
    board: ScriptedBoard, feeds: Feeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("action_gateway.leaderboard.feed._BACKOFF_SECONDS", (0.001, 0.001))
    with feeds.hold("day") as feed, feed.subscribe("u1") as subscription:
        await feed.open(subscription)
        board.periods["day"] = day_of(2)
        board.award_silently("u1", 7)
        board.interrupt(RuntimeError("broken"))
        (_, named), (_, shown) = await next_news(subscription)
    assert (named["period"]["id"], score_of(shown)) == ("day:2026-12-02", 7)


async def test_a_server_whose_clock_is_behind_does_not_bring_the_former_period_back(
    board: ScriptedBoard, feeds: Feeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("action_gateway.leaderboard.feed._BACKOFF_SECONDS", (0.001, 0.001))
    with feeds.hold("day") as feed, feed.subscribe("u1") as subscription, feed.subscribe("u2") as idler:
        await feed.open(subscription)
        await feed.open(idler)
        board.turn_over("day", day_of(2))
        await next_news(subscription)
        await next_news(idler)
        watches = board.watches_begun
        board.periods["day"] = day_of(1)
        board.interrupt(RuntimeError("broken"))
        await until(lambda: board.watches_begun > watches and board.watches)
        board.award("u1", 5)
        board.tell_checkpoint()
        board.award_in("day:2026-12-02", "u2", 7)
        board.turn_over("day", day_of(2))

        [(event, update)] = await next_news(subscription)
        [_, (score, own)] = await next_news(idler)

    assert (event, [row["userId"] for row in update["leaderboard"]]) == ("leaderboard:update", ["u2"])
    assert (score, own["newScore"]) == ("score:update", 7)


@pytest.mark.parametrize("moved", [timedelta(hours=-5), timedelta(hours=5)])
async def test_a_period_that_other_settings_moved_replaces_the_one_it_overlaps(
    board: ScriptedBoard, feeds: Feeds, moved: timedelta
) -> None:
    other = replace(day_of(2), period_id="day:2026-12-03", starts_at=day_of(2).starts_at + moved)
    with feeds.hold("day") as feed, feed.subscribe("u1") as subscription:
        await feed.open(subscription)
        for period in (day_of(2), other):
            board.turn_over("day", period)
            (_, named), _ = await next_news(subscription)
            assert named["period"]["id"] == period.period_id


async def test_a_period_that_a_clock_ahead_began_too_early_is_left_again(
    board: ScriptedBoard, feeds: Feeds, clock: SetClock
) -> None:
    clock.now = day_of(1).starts_at.timestamp()
    with feeds.hold("day") as feed, feed.subscribe("u1") as subscription:
        await feed.open(subscription)
        for number in (2, 1):
            board.turn_over("day", day_of(number))
            (_, named), _ = await next_news(subscription)
            assert named["period"]["id"] == day_of(number).period_id


async def test_the_last_final_period_may_be_an_earlier_one_after_a_restore(
    board: ScriptedBoard, feeds: Feeds
) -> None:
    board.periods["day:previous"] = day_of(2)
    with feeds.hold("day:previous") as feed, feed.subscribe("u1") as subscription:
        await feed.open(subscription)
        board.turn_over("day:previous", day_of(1))
        (_, named), _ = await next_news(subscription)
    assert named["period"]["id"] == "day:2026-12-01"


async def test_a_period_that_goes_on_in_another_state_is_told(board: ScriptedBoard, feeds: Feeds) -> None:
    board.periods["day:2026-12-01"] = day_of(1)
    with feeds.hold("day:2026-12-01") as feed, feed.subscribe("u1") as subscription:
        await feed.open(subscription)
        board.turn_over("day:2026-12-01", day_of(1, PeriodState.FINAL))
        board.tell_checkpoint()
        (event, named), (_, shown) = await next_news(subscription)
    assert (event, named["period"]["state"]) == ("leaderboard:period", "final")
    assert score_of(shown) == 10


async def test_who_resumes_is_told_what_was_missed_in_the_period(board: ScriptedBoard, feeds: Feeds) -> None:
    with feeds.hold("day") as feed, feed.subscribe("u1", "a-1") as subscription:
        await feed.open(subscription)
        await feed.recall(subscription)
        [(event, data)] = await next_news(subscription)
    assert (event, data["newScore"]) == ("score:update", 10)


async def test_a_period_that_is_unknown_is_said_to_be(feeds: Feeds, board: ScriptedBoard) -> None:
    with (
        feeds.hold("season") as none,
        none.subscribe("u1") as subscription,
        pytest.raises(PeriodUnknownError),
    ):
        await none.open(subscription)
    board.periods["season"] = day_of(1)
    with feeds.hold("season") as feed, feed.subscribe("u1") as subscription:
        await feed.open(subscription)


async def test_a_board_without_awards_has_no_periods() -> None:
    absent = ScriptedBoard()
    feed = Feed(BoardReader(absent, Nameless(), "main", "day"))
    async with feed:
        with feed.subscribe("u1") as subscription, pytest.raises(PeriodUnknownError):
            await feed.open(subscription)


async def test_followers_of_a_season_without_a_next_one_are_told_that_there_is_none(
    board: ScriptedBoard, feeds: Feeds
) -> None:
    board.periods["season"] = day_of(1)
    with feeds.hold("season") as feed, feed.subscribe("u1") as subscription:
        await feed.open(subscription)
        board.end("season")
        with pytest.raises(PeriodUnknownError):
            await next_news(subscription)
        with feeds.hold("season") as again:
            assert again is not feed
    assert feeds.count == 1


@pytest.mark.parametrize(
    "choice", ["tomorrow", "day:", "day:next", "week:2026-11", "all_time:previous", "day "]
)
async def test_what_is_no_choice_of_a_period_is_unknown(feeds: Feeds, choice: str) -> None:
    with pytest.raises(PeriodUnknownError), feeds.hold(choice):
        pass
    assert feeds.count == 1


async def test_periods_that_are_named_are_bounded_and_leave_room_for_the_others(feeds: Feeds) -> None:
    with feeds.hold("day:2026-12-01"), feeds.hold("season:one"):
        with pytest.raises(UnavailableError), feeds.hold("day:2026-12-02"):
            pass
        with feeds.hold("season:one"), feeds.hold("week"), feeds.hold("week:previous"):
            assert feeds.count == 5
    with feeds.hold("day:2026-12-02"):
        assert feeds.count == 2


async def test_a_server_for_which_the_period_has_not_begun_is_asked_later(
    board: ScriptedBoard, feeds: Feeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("action_gateway.leaderboard.feed._BACKOFF_SECONDS", (0.001, 0.001))
    read_standings = board.batch_get_standings
    behind = True

    async def read_with_a_clock_that_is_behind(**asked: Any) -> Any:
        nonlocal behind
        if behind and asked["period"] == "day:2026-12-02":
            behind = False
            asked["period"] = "day:2026-12-03"
        return await read_standings(**asked)

    monkeypatch.setattr(board, "batch_get_standings", read_with_a_clock_that_is_behind)
    with feeds.hold("day") as feed, feed.subscribe("u1") as subscription:
        await feed.open(subscription)
        board.turn_over("day", day_of(2))
        (_, named), _ = await next_news(subscription)
    assert named["period"]["id"] == "day:2026-12-02"
    assert not behind
