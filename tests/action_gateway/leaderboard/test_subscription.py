"""What one client has received, and what is new to it."""

import asyncio
import json
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.action_gateway.scripted_board import ScriptedBoard

from action_gateway.domain.entries import Entry, name_entries
from action_gateway.domain.messages import Top
from action_gateway.leaderboard.subscription import Board, News, Subscription
from score_client.types import Standing

ME = "u1"
USERS = ["u1", "u2", "u3", "u4"]
TOP_N = 2


def nothing(user_id: str = ME) -> Standing:
    return Standing(user_id=user_id, total=0, rank=None, reached_revision=0)


def standing(total: int, reached_revision: int) -> Standing:
    return Standing(user_id=ME, total=total, rank=1, reached_revision=reached_revision)


def events(news: News) -> list[Any]:
    return [json.loads(message.text) for message in news.messages]


def begun(board: Board, me: Standing | None = None) -> Subscription:
    subscription = Subscription(ME, board)
    known = me or nothing()
    subscription.begin(known, known.reached_revision)
    return subscription


def waiting_for_news(subscription: Subscription) -> "asyncio.Task[News]":
    subscription.wake()
    return asyncio.create_task(subscription.news())


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def top(*scores: int) -> Top:
    rows = enumerate(scores, start=1)
    return Top(tuple(Entry(rank=n, user_id=f"u{n}", username=None, score=score) for n, score in rows))


@pytest.fixture
def board() -> Board:
    return Board(top(30, 20), revision=7, position="a-7")


def test_the_first_message_is_of_the_newest_state_known() -> None:
    board = Board(top(30, 20), revision=7, position="a-7")
    subscription = Subscription(ME, board)
    subscription.offer(standing(30, 7), 7)
    news = subscription.begin(standing(10, 3), 3)
    assert news.position == "a-7"
    assert [event["event"] for event in events(news)] == ["leaderboard:initial"]
    assert events(news)[0]["data"]["me"] == {"rank": 1, "score": 30}


async def test_a_score_missed_while_disconnected_is_sent_once_it_is_found(board: Board) -> None:
    subscription = Subscription(ME, board, "a-4")
    initial = subscription.begin(standing(30, 7), 7)
    assert initial.position is None
    subscription.miss(standing(20, 5), 5)
    subscription.settle()
    news = await subscription.news()
    assert [event["data"].get("newScore") for event in events(news)] == [30]
    assert news.position == "a-7"


async def test_a_missed_score_is_not_sent_after_a_newer_one(board: Board) -> None:
    subscription = Subscription(ME, board, "a-4")
    subscription.begin(standing(30, 7), 7)
    subscription.offer(standing(40, 8), 8)
    (update,) = events(await waiting_for_news(subscription))
    assert update["data"]["newScore"] == 40
    subscription.miss(standing(30, 7), 7)
    waiting = waiting_for_news(subscription)
    await settle()
    assert not waiting.done()
    waiting.cancel()


async def test_a_score_that_the_board_does_not_show_yet_is_left_to_the_board(board: Board) -> None:
    subscription = Subscription(ME, board, "a-4")
    subscription.begin(standing(30, 7), 7)
    subscription.miss(standing(40, 8), 8)
    waiting = waiting_for_news(subscription)
    await settle()
    assert not waiting.done()
    subscription.offer(standing(40, 8), 8)
    subscription.wake()
    (update,) = events(await waiting)
    assert update["data"]["newScore"] == 40


async def test_a_client_that_missed_nothing_gets_positions_from_then_on(board: Board) -> None:
    subscription = Subscription(ME, board, "a-4")
    subscription.begin(standing(30, 7), 7)
    subscription.offer(standing(40, 8), 8)
    assert (await waiting_for_news(subscription)).position is None
    subscription.settle()
    subscription.offer(standing(50, 9), 9)
    assert (await waiting_for_news(subscription)).position == "a-7"


async def test_the_content_of_the_first_message_is_not_repeated() -> None:
    board = Board()
    subscription = Subscription(ME, board)
    subscription.offer(standing(30, 7), 7)
    board.top = top(30)
    subscription.begin(standing(30, 7), 7)
    assert not subscription.offer(standing(30, 7), 7)
    waiting = waiting_for_news(subscription)
    await settle()
    assert not waiting.done()
    waiting.cancel()


async def test_a_leaderboard_that_changed_back_before_it_was_sent_is_no_news() -> None:
    board = Board(top(30))
    subscription = begun(board)
    board.top = top(40)
    board.top = top(30)
    waiting = waiting_for_news(subscription)
    await settle()
    assert not waiting.done()
    waiting.cancel()


async def test_an_update_is_relative_to_what_this_client_has_received() -> None:
    board = Board(top(30, 20, 10))
    subscription = begun(board)
    board.top = top(30, 25, 10)
    board.top = top(30, 25, 15)
    (update,) = events(await waiting_for_news(subscription))
    assert update["data"]["changedRanks"] == [2, 3]


async def test_only_the_newest_of_several_scores_is_sent() -> None:
    subscription = begun(Board())
    subscription.offer(standing(10, 1), 1)
    subscription.offer(standing(30, 3), 3)
    subscription.offer(standing(20, 2), 2)
    (update,) = events(await waiting_for_news(subscription))
    assert update["data"]["newScore"] == 30


async def test_a_score_of_another_history_is_sent_if_it_differs() -> None:
    subscription = begun(Board(), standing(30, 9))
    subscription.replace(standing(20, 2), 2)
    (update,) = events(await waiting_for_news(subscription))
    assert update["data"]["newScore"] == 20


async def test_the_same_score_in_another_history_is_no_news() -> None:
    subscription = begun(Board(), standing(30, 9))
    subscription.replace(standing(30, 2), 2)
    waiting = waiting_for_news(subscription)
    await settle()
    assert not waiting.done()
    subscription.offer(standing(40, 3), 3)
    subscription.wake()
    (update,) = events(await waiting)
    assert update["data"]["newScore"] == 40


@dataclass
class Screen:
    """What a client shows that does as the messages say."""

    leaderboard: Any = None
    score: int = 0
    rank: int | None = None

    def show(self, news: News) -> None:
        for event in events(news):
            data = event["data"]
            if "leaderboard" in data:
                self._show_rows(data)
            if "me" in data:
                self.rank, self.score = data["me"]["rank"], data["me"]["score"]
            if event["event"] == "score:update":
                assert data["userId"] == ME
                assert data["newScore"] > self.score
                self.rank, self.score = data["newRank"], data["newScore"]

    def _show_rows(self, data: Any) -> None:
        if "changedRanks" in data:
            old, new = self.leaderboard, data["leaderboard"]
            longest = range(max(len(old), len(new)))
            assert data["changedRanks"] == [n + 1 for n in longest if old[n : n + 1] != new[n : n + 1]]
            assert data["changedRanks"]
        self.leaderboard = data["leaderboard"]


@given(st.lists(st.tuples(st.sampled_from(USERS), st.integers(1, 5), st.booleans()), max_size=40))
def test_a_client_that_reads_seldom_ends_where_one_that_reads_all_does(
    awards: list[tuple[str, int, bool]],
) -> None:
    """The third of each award says whether the slow client finds the time to read after it."""
    asyncio.run(_follow(awards))


async def _follow(awards: list[tuple[str, int, bool]]) -> None:
    source, board = ScriptedBoard(), Board()
    quick, slow = Subscription(ME, board), Subscription(ME, board)
    screens = {quick: Screen(), slow: Screen()}
    for subscription, screen in screens.items():
        screen.show(subscription.begin(nothing(), 0))
    for user_id, points, slow_reads in [*awards, (ME, 1, True)]:
        source.award(user_id, points)
        ranking = source.ranking()
        board.top = Top(name_entries(ranking[:TOP_N], {}))
        board.revision = source.revision
        mine = next(one for one in ranking if one.user_id == user_id)
        for subscription in screens:
            if user_id == ME:
                subscription.offer(mine, source.revision)
        for subscription in (quick, slow) if slow_reads else (quick,):
            await _read(subscription, screens[subscription])
    final = next(one for one in source.ranking() if one.user_id == ME)
    assert screens[slow] == screens[quick]
    assert (screens[slow].score, screens[slow].rank) == (final.total, final.rank)
    assert [row["userId"] for row in screens[slow].leaderboard] == [row.user_id for row in board.top.entries]


async def _read(subscription: Subscription, screen: Screen) -> None:
    waiting = waiting_for_news(subscription)
    await settle()
    if waiting.done():
        screen.show(waiting.result())
    else:
        waiting.cancel()


async def test_a_score_that_falls_is_news() -> None:
    subscription = begun(Board(), standing(30, 9))
    assert subscription.offer(standing(20, 5), 10)
    (update,) = events(await waiting_for_news(subscription))
    assert (update["data"]["newScore"], update["data"]["newRank"]) == (20, 1)


async def test_a_score_of_which_nothing_is_left_is_news() -> None:
    subscription = begun(Board(), standing(30, 9))
    assert subscription.offer(nothing(), 10)
    (update,) = events(await waiting_for_news(subscription))
    assert (update["data"]["newScore"], update["data"]["newRank"]) == (0, None)


async def test_an_older_standing_is_no_news_even_if_its_score_was_reached_later() -> None:
    subscription = begun(Board())
    assert subscription.offer(standing(20, 5), 10)
    assert not subscription.offer(standing(30, 9), 9)


async def test_who_is_hidden_loses_the_rank_and_who_is_shadowed_notices_nothing() -> None:
    shown = standing(30, 9)
    subscription = begun(Board(), shown)
    assert not subscription.offer(replace(shown, hidden=True), 10)
    assert subscription.offer(replace(shown, hidden=True, rank=None), 11)
    (update,) = events(await waiting_for_news(subscription))
    assert (update["data"]["newScore"], update["data"]["newRank"]) == (30, None)
    assert subscription.offer(shown, 12)


async def test_who_was_hidden_and_is_shadowed_has_a_rank_again() -> None:
    hidden = replace(standing(30, 9), hidden=True, rank=None)
    subscription = begun(Board(), hidden)
    assert not subscription.offer(hidden, 10)
    assert subscription.offer(replace(hidden, rank=1), 11)
    (update,) = events(await waiting_for_news(subscription))
    assert (update["data"]["newScore"], update["data"]["newRank"]) == (30, 1)
    assert not subscription.offer(replace(hidden, rank=2), 12)
    assert subscription.offer(hidden, 13)


async def test_a_resumed_stream_learns_of_points_that_were_taken_back(board: Board) -> None:
    subscription = Subscription(ME, board, "a-3")
    subscription.begin(standing(20, 2), 7)
    subscription.miss(standing(20, 2), 6)
    (update,) = events(await waiting_for_news(subscription))
    assert update["data"]["newScore"] == 20
