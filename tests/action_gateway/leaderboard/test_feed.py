"""The feed over a board that the test moves by hand, and over a real score service."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.action_gateway.scripted_board import OpenWatch, ScriptedBoard

from action_gateway.errors import UnavailableError
from action_gateway.leaderboard.board_reader import BoardReader
from action_gateway.leaderboard.feed import Feed
from action_gateway.leaderboard.subscription import News, Subscription
from score_client.errors import NotAllowedError
from score_client.errors import UnavailableError as ScoreUnavailableError


class Nameless:
    """Knows the names of users whose ids begin with `u`."""

    async def names_of(self, user_ids: Iterable[str]) -> dict[str, str | None]:
        await asyncio.sleep(0)
        return {one: f"name of {one}" if one.startswith("u") else None for one in user_ids}


@dataclass
class Follower:
    """Reads all news of one subscription."""

    subscription: Subscription
    events: list[Any] = field(default_factory=list)

    def take(self, news: News) -> None:
        self.events.extend(json.loads(message.text) for message in news.messages)

    async def read(self) -> None:
        while True:
            self.take(await self.subscription.news())

    def named(self, event: str) -> list[Any]:
        return [one["data"] for one in self.events if one["event"] == event]

    @property
    def scores(self) -> list[int]:
        return [data["newScore"] for data in self.named("score:update")]

    @property
    def leaderboard(self) -> Any:
        return [one["data"] for one in self.events if "leaderboard" in one["data"]][-1]["leaderboard"]


class Followers:
    """Opens subscriptions and keeps reading them."""

    def __init__(self, feed: Feed, board: ScriptedBoard) -> None:
        self._feed = feed
        self._board = board
        self._stack = ExitStack()
        self._tasks: list[asyncio.Task[None]] = []

    async def caught_up(self) -> None:
        """Wait until the feed shows the board as it is."""
        await until(lambda: self._feed.board.revision == self._board.revision)

    async def open(self, user_id: str, after_position: str | None = None) -> Follower:
        subscribed = self._stack.enter_context(self._feed.subscribe(user_id, after_position))
        follower = Follower(subscribed)
        follower.take(await self._feed.open(subscribed))
        self._tasks.append(asyncio.create_task(follower.read()))
        self._tasks.append(asyncio.create_task(self._feed.recall(subscribed)))
        return follower

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._stack.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - anything may bring the condition about
            await asyncio.sleep(0.002)


@pytest.fixture
def board() -> ScriptedBoard:
    return ScriptedBoard()


@pytest.fixture
async def feed(board: ScriptedBoard, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Feed]:
    monkeypatch.setattr("action_gateway.leaderboard.feed._ABSENT_SECONDS", 0.01)
    async with Feed(BoardReader(board, Nameless(), "main"), interval=0.001) as feed:
        yield feed


@pytest.fixture
async def followers(feed: Feed, board: ScriptedBoard) -> AsyncIterator[Followers]:
    followers = Followers(feed, board)
    yield followers
    await followers.close()


async def test_one_watch_serves_any_number_of_followers(board: ScriptedBoard, followers: Followers) -> None:
    board.award("u1", 10)
    await followers.caught_up()
    following = [await followers.open(f"u{n}") for n in range(20)]
    board.award("u2", 20)
    await until(lambda: all(one.named("leaderboard:update") for one in following))
    assert (board.watches_begun, len(board.watches)) == (1, 1)


async def test_a_follower_begins_with_the_named_leaderboard_and_its_own_rank(
    board: ScriptedBoard, followers: Followers
) -> None:
    board.award("u1", 10)
    board.award("x2", 20)
    await followers.caught_up()
    follower = await followers.open("u1")
    (initial,) = follower.events
    assert (initial["event"], initial["revision"]) == ("leaderboard:initial", 2)
    assert initial["data"] == {
        "leaderboard": [
            {"rank": 1, "userId": "x2", "username": None, "score": 20},
            {"rank": 2, "userId": "u1", "username": "name of u1", "score": 10},
        ],
        "me": {"rank": 2, "score": 10},
        "period": None,
    }


async def test_a_score_is_sent_to_every_socket_of_its_user_only(
    board: ScriptedBoard, followers: Followers
) -> None:
    board.award("u1", 10)
    await followers.caught_up()
    mine, mine_too, another = [await followers.open(user_id) for user_id in ("u1", "u1", "u2")]
    board.award("u1", 5)
    await until(lambda: all(one.named("leaderboard:update") for one in (mine, mine_too, another)))
    assert (mine.scores, mine_too.scores, another.scores) == ([15], [15], [])


async def test_a_score_below_the_top_is_sent_without_a_leaderboard(
    board: ScriptedBoard, followers: Followers
) -> None:
    for n in range(10):
        board.award(f"u{n}", 100)
    await followers.caught_up()
    follower = await followers.open("u99")
    board.award("u99", 1)
    await until(lambda: follower.scores)
    assert follower.named("score:update") == [{"userId": "u99", "newScore": 1, "newRank": 11}]
    assert not follower.named("leaderboard:update")


async def test_a_board_without_awards_is_an_empty_leaderboard(feed: Feed, followers: Followers) -> None:
    follower = await followers.open("u1")
    assert follower.events == [
        {
            "event": "leaderboard:initial",
            "revision": 0,
            "data": {"leaderboard": [], "me": {"rank": None, "score": 0}, "period": None},
        }
    ]
    assert feed.problem is None


async def test_the_first_award_of_a_board_is_sent_although_the_board_did_not_exist(
    board: ScriptedBoard, followers: Followers
) -> None:
    first, below = await followers.open("u1"), await followers.open("z")
    for n in range(10):
        board.award(f"u{n}", 10)
    board.award("z", 1)
    await until(lambda: first.scores and below.scores)
    assert (first.scores, below.scores) == ([10], [1])
    assert len(first.leaderboard) == 10


async def test_a_broken_watch_is_resumed_at_its_position(
    board: ScriptedBoard, feed: Feed, followers: Followers
) -> None:
    board.award("u1", 10)
    await followers.caught_up()
    follower = await followers.open("u1")
    board.interrupt(NotAllowedError("POLICY", "not now"))
    await until(lambda: feed.problem)
    assert "POLICY" in (feed.problem or "")
    board.award("u1", 5)
    await until(lambda: follower.scores)
    assert follower.scores == [15]
    assert feed.problem is None
    assert board.watches_begun == 2


async def test_a_fault_of_our_own_does_not_end_the_feed(board: ScriptedBoard, followers: Followers) -> None:
    board.award("u1", 10)
    await followers.caught_up()
    follower = await followers.open("u1")
    board.interrupt(RuntimeError("unforeseen"))
    board.award_silently("u1", 5)
    await until(lambda: follower.scores)
    assert follower.scores == [15]


async def test_after_a_reset_every_follower_receives_its_score_also_below_the_top(
    board: ScriptedBoard, followers: Followers
) -> None:
    for n in range(10):
        board.award(f"u{n}", 100)
    board.award("z", 1)
    await followers.caught_up()
    above, below, same = [await followers.open(user_id) for user_id in ("u1", "z", "u2")]
    board.award_silently("u1", 50)
    board.award_silently("z", 1)
    board.tell_snapshot(reset=True)
    await until(lambda: above.scores and below.scores and same.named("leaderboard:update"))
    assert (above.scores, below.scores, same.scores) == ([150], [2], [])


async def test_a_board_is_shown_only_with_the_scores_up_to_it(
    board: ScriptedBoard, feed: Feed, followers: Followers
) -> None:
    board.award("u1", 10)
    await followers.caught_up()
    with feed.subscribe("u1") as subscription:
        await feed.open(subscription)
        board.award_silently("u1", 5)
        board.tell_snapshot(reset=False)
        (watch,) = board.watches
        await until(watch.events.empty)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await subscription.news()
        assert feed.board.position == "a-1"
        board.tell_scores("u1")
        news = await subscription.news()
        assert [message.event for message in news.messages] == ["leaderboard:update", "score:update"]
        assert news.position == "a-2"


async def test_after_a_reset_no_score_is_sent_before_the_board_has_reached_it(
    board: ScriptedBoard, followers: Followers
) -> None:
    board.award("u1", 10)
    await followers.caught_up()
    follower = await followers.open("u1")
    board.start_another_history({"u2": 30, "u1": 20})
    board.tell_snapshot(reset=True)
    board.award_silently("u1", 1)
    await until(lambda: follower.leaderboard[0]["userId"] == "u2")
    board.tell_scores("u1")
    await until(lambda: follower.scores)
    received = {
        one["revision"]: one["data"]["newScore"] for one in follower.events if "newScore" in one["data"]
    }
    assert received == {3: 21}


async def test_another_history_replaces_what_was_known_though_it_is_shorter(
    board: ScriptedBoard, followers: Followers
) -> None:
    for _ in range(5):
        board.award("u1", 10)
    await followers.caught_up()
    follower, lost = await followers.open("u1"), await followers.open("u2")
    board.start_another_history({"u1": 30, "u3": 10})
    board.tell_snapshot(reset=True)
    await until(lambda: follower.scores)
    board.award("u1", 1)
    await until(lambda: len(follower.scores) == 2)
    assert follower.scores == [30, 31]
    assert lost.scores == []
    assert [row["userId"] for row in follower.leaderboard] == ["u1", "u3"]


async def test_a_user_unknown_to_another_history_receives_zero(
    board: ScriptedBoard, followers: Followers
) -> None:
    board.award("u1", 10)
    await followers.caught_up()
    follower = await followers.open("u1")
    board.start_another_history({"u3": 10})
    board.tell_snapshot(reset=True)
    await until(lambda: follower.scores)
    assert follower.named("score:update") == [{"userId": "u1", "newScore": 0, "newRank": None}]


async def test_a_reset_that_cannot_be_followed_up_is_followed_up_later(
    board: ScriptedBoard, followers: Followers
) -> None:
    board.award("u1", 10)
    await followers.caught_up()
    follower = await followers.open("u1")
    board.award_silently("u1", 5)
    board.unavailable = True
    board.tell_snapshot(reset=True)
    await until(lambda: not board.watches)
    board.unavailable = False
    await until(lambda: follower.scores)
    assert follower.scores == [15]


async def test_a_board_that_disappears_is_empty_again(board: ScriptedBoard, followers: Followers) -> None:
    board.award("u1", 10)
    await followers.caught_up()
    follower = await followers.open("u1")
    watches = list(board.watches)
    board.start_another_history({})
    for watch in watches:
        watch.events.put_nowait(NotAllowedError("POLICY", "the stream broke"))
    await until(lambda: follower.scores)
    assert follower.scores == [0]
    assert follower.leaderboard == []
    board.award("u1", 7)
    await until(lambda: len(follower.scores) == 2)
    assert follower.scores == [0, 7]


async def test_a_follower_that_leaves_is_removed(
    board: ScriptedBoard, feed: Feed, followers: Followers
) -> None:
    board.award("u1", 10)
    await followers.caught_up()
    await followers.open("u1")
    await followers.close()
    board.award("u1", 5)
    await until(lambda: feed.board.revision == 2)
    assert not feed.audience.user_ids
    assert not feed.audience._with_news


async def test_subscriptions_fail_while_the_score_service_is_unavailable(
    board: ScriptedBoard, feed: Feed, followers: Followers
) -> None:
    board.award("u1", 10)
    await followers.caught_up()
    await followers.open("u1")
    board.unavailable = True
    with pytest.raises(ScoreUnavailableError):
        await followers.open("u2")


async def test_subscriptions_fail_before_the_board_was_read_once(
    monkeypatch: pytest.MonkeyPatch, board: ScriptedBoard
) -> None:
    monkeypatch.setattr("action_gateway.leaderboard.feed._OPEN_SECONDS", 0.01)
    board.unavailable = True
    async with Feed(BoardReader(board, Nameless(), "main")) as feed:
        with feed.subscribe("u1") as subscription, pytest.raises(UnavailableError):
            await feed.open(subscription)
        assert feed.problem


async def test_a_feed_without_events_for_long_reports_a_problem(
    monkeypatch: pytest.MonkeyPatch, board: ScriptedBoard, feed: Feed, followers: Followers
) -> None:
    board.award("u1", 10)
    await followers.caught_up()
    await followers.open("u1")
    assert feed.problem is None
    monkeypatch.setattr("action_gateway.leaderboard.feed._SILENCE_SECONDS", -1.0)
    assert feed.problem


async def test_updates_are_no_more_frequent_than_the_interval(board: ScriptedBoard) -> None:
    async with Feed(BoardReader(board, Nameless(), "main"), interval=3600) as feed:
        followers = Followers(feed, board)
        board.award("u1", 10)
        await followers.caught_up()
        follower = await followers.open("u1")
        board.award("u1", 1)
        await until(lambda: follower.scores)
        board.award("u1", 1)
        await until(lambda: feed.board.revision == 3)
        for _ in range(20):
            await asyncio.sleep(0)
        assert follower.scores == [11]
        await followers.close()


async def test_a_follower_that_never_reads_delays_no_other_and_holds_one_update(
    board: ScriptedBoard, feed: Feed, followers: Followers
) -> None:
    board.award("u1", 10)
    with feed.subscribe("u1") as stalled:
        await followers.caught_up()
        await feed.open(stalled)
        reading = await followers.open("u1")
        for _ in range(50):
            board.award("u1", 1)
        await until(lambda: reading.scores and reading.scores[-1] == 60)
        slow = Follower(stalled)
        slow.take(await stalled.news())
        assert slow.scores == [60]
        assert len(slow.named("leaderboard:update")) == 1


async def test_a_follower_that_subscribes_while_scores_change_receives_each_once(
    board: ScriptedBoard, followers: Followers
) -> None:
    board.award("u1", 1)
    await followers.caught_up()
    opening = [asyncio.create_task(followers.open("u1")) for _ in range(20)]
    for _ in range(30):
        board.award("u1", 1)
        await asyncio.sleep(0)
    following = await asyncio.gather(*opening)
    board.award("u1", 1)
    await until(lambda: all(one.scores and one.scores[-1] == 32 for one in following))
    for follower in following:
        received = [follower.named("leaderboard:initial")[0]["me"]["score"], *follower.scores]
        assert received == sorted(set(received))
        revisions = [event["revision"] for event in follower.events]
        assert revisions == sorted(revisions)


async def test_a_follower_that_was_disconnected_receives_the_score_it_missed(
    board: ScriptedBoard, followers: Followers
) -> None:
    board.award("u1", 10)
    board.award("u1", 5)
    await followers.caught_up()
    follower = await followers.open("u1", "a-1")
    await until(lambda: follower.scores)
    board.award("u1", 5)
    await until(lambda: len(follower.scores) == 2)
    assert follower.scores == [15, 20]
    assert [event["event"] for event in follower.events][:2] == ["leaderboard:initial", "score:update"]


async def test_a_follower_at_the_newest_position_has_missed_nothing(
    board: ScriptedBoard, followers: Followers
) -> None:
    board.award("u1", 10)
    await followers.caught_up()
    follower = await followers.open("u1", "a-1")
    await until(lambda: follower.subscription._settled)
    assert [event["event"] for event in follower.events] == ["leaderboard:initial"]


async def test_that_nothing_was_missed_while_others_scored_is_known_at_the_next_checkpoint(
    board: ScriptedBoard, followers: Followers
) -> None:
    board.award("u1", 10)
    board.award("u2", 5)
    await followers.caught_up()
    follower = await followers.open("u1", "a-1")
    await until(lambda: len(board.watches) == 2)
    assert not follower.subscription._settled
    board.tell_checkpoint()
    await until(lambda: follower.subscription._settled)
    assert [event["event"] for event in follower.events] == ["leaderboard:initial"]


async def test_a_score_made_during_the_search_for_missed_ones_is_sent_once(
    board: ScriptedBoard, followers: Followers
) -> None:
    board.award("u1", 10)
    board.award("u2", 5)
    await followers.caught_up()
    follower = await followers.open("u1", "a-1")
    await until(lambda: len(board.watches) == 2)
    board.award("u1", 5)
    await until(lambda: follower.subscription._settled)
    board.award("u1", 5)
    await until(lambda: len(follower.scores) == 2)
    assert follower.scores == [15, 20]


async def test_a_watch_that_is_behind_does_not_end_the_search_for_missed_scores(
    monkeypatch: pytest.MonkeyPatch, board: ScriptedBoard, followers: Followers
) -> None:
    board.award("u1", 10)
    await followers.caught_up()
    behind = [board._snapshot(OpenWatch(False, frozenset(), 1), reset=False), board._update(None, ())]
    board.award("u2", 5)
    await followers.caught_up()
    monkeypatch.setattr(board, "_opening", lambda *_: behind)
    follower = await followers.open("u1", "a-0")
    await until(lambda: len(board.watches) == 2 and not any(one.events.qsize() for one in board.watches))
    assert not follower.subscription._settled
    board.tell_checkpoint()
    await until(lambda: follower.subscription._settled)


async def test_a_follower_waits_until_the_board_has_reached_its_standing(
    board: ScriptedBoard, feed: Feed, followers: Followers
) -> None:
    board.award("u1", 10)
    await followers.caught_up()
    board.award_silently("u1", 5)
    opening = asyncio.create_task(followers.open("u1"))
    await asyncio.sleep(0.02)
    assert not opening.done()
    board.award("u2", 1)
    follower = await opening
    initial = follower.events[0]
    assert (initial["revision"], initial["data"]["me"]["score"]) == (3, 15)
    assert [row["score"] for row in initial["data"]["leaderboard"]] == [15, 1]
    assert feed.board.position == "a-3"


@pytest.mark.parametrize("position", ["nonsense", "b-1", "a-99"])
async def test_a_position_that_cannot_be_resumed_is_ignored(
    board: ScriptedBoard, followers: Followers, position: str
) -> None:
    board.award("u1", 10)
    await followers.caught_up()
    follower = await followers.open("u1", position)
    await until(lambda: follower.subscription._settled)
    assert [event["event"] for event in follower.events] == ["leaderboard:initial"]


async def test_a_position_on_a_board_without_awards_is_ignored(followers: Followers) -> None:
    follower = await followers.open("u1", "a-1")
    await until(lambda: follower.subscription._settled)
    assert [event["event"] for event in follower.events] == ["leaderboard:initial"]


async def test_the_watch_of_a_resuming_follower_is_short(board: ScriptedBoard, followers: Followers) -> None:
    board.award("u1", 10)
    await followers.caught_up()
    follower = await followers.open("u1", "a-1")
    await until(lambda: follower.subscription._settled)
    assert (board.watches_begun, len(board.watches)) == (2, 1)


async def test_a_cancellation_lost_by_a_library_does_not_delay_the_end() -> None:
    board, asked = ScriptedBoard(), asyncio.Event()
    board.award("u1", 10)

    class Clinging(Nameless):
        """Loses the first cancellation, as the pool of a driver may."""

        async def names_of(self, user_ids: Iterable[str]) -> dict[str, str | None]:
            if not asked.is_set():
                asked.set()
                with suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
            return await super().names_of(user_ids)

    async with asyncio.timeout(20), Feed(BoardReader(board, Clinging(), "main")):
        await asked.wait()


async def test_who_has_left_loses_the_name_on_the_leaderboard_at_once(
    feed: Feed, board: ScriptedBoard, followers: Followers
) -> None:
    board.award("u1", 10)
    board.award("u2", 20)
    await followers.caught_up()
    follower = await followers.open("u3")
    feed.remove_names(["u1", "u9"])
    await until(lambda: follower.named("leaderboard:update"))
    feed.remove_names(["u9"])
    board.award("u3", 30)
    await until(lambda: follower.scores)

    first, second = follower.named("leaderboard:update")
    assert first["changedRanks"] == [2]
    assert [row["username"] for row in first["leaderboard"]] == ["name of u2", "former player"]
    assert second["changedRanks"] == [1, 2, 3]
