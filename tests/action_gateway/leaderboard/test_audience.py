"""Who is woken, and how often."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from action_gateway.leaderboard.audience import Audience
from action_gateway.leaderboard.subscription import Board, Subscription
from score_client.types import Standing


def standing(user_id: str, total: int, revision: int) -> Standing:
    return Standing(user_id=user_id, total=total, rank=1, reached_revision=revision)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def follow(stack: ExitStack, audience: Audience, user_id: str) -> tuple[Subscription, list[int]]:
    """Hold a subscription that has begun, and count how often it is woken."""
    subscription = stack.enter_context(audience.hold(user_id, None))
    subscription.begin(standing(user_id, 0, 0), 0)
    woken: list[int] = []
    subscription.wake = lambda: woken.append(1)  # type: ignore[method-assign]
    return subscription, woken


async def test_only_those_with_news_are_woken(stack: ExitStack) -> None:
    audience = Audience(Board(), 0)
    (_, ada), (_, bob) = follow(stack, audience, "ada"), follow(stack, audience, "bob")
    audience.offer([standing("ada", 10, 1), standing("eve", 10, 2)], 2)
    audience.tell()
    await asyncio.sleep(0.01)
    assert (len(ada), len(bob)) == (1, 0)


async def test_a_standing_that_is_known_is_no_news(stack: ExitStack) -> None:
    audience = Audience(Board(), 0)
    _, ada = follow(stack, audience, "ada")
    for _ in range(2):
        audience.offer([standing("ada", 10, 1)], 1)
        audience.tell()
        await asyncio.sleep(0.01)
    assert len(ada) == 1


async def test_the_first_news_is_sent_at_once_and_the_next_after_the_interval(stack: ExitStack) -> None:
    audience = Audience(Board(), 3600)
    _, ada = follow(stack, audience, "ada")
    for revision in (1, 2, 3):
        audience.offer([standing("ada", 10 * revision, revision)], revision)
        audience.tell()
        await asyncio.sleep(0.01)
    assert len(ada) == 1
    audience.close()


async def test_everyone_is_woken_for_a_new_leaderboard(stack: ExitStack) -> None:
    audience = Audience(Board(), 0)
    following = [follow(stack, audience, user_id) for user_id in ("ada", "ada", "bob")]
    audience.call_all()
    audience.tell()
    await asyncio.sleep(0.01)
    assert [len(woken) for _, woken in following] == [1, 1, 1]


async def test_a_closed_subscription_is_not_woken_and_is_removed() -> None:
    audience = Audience(Board(), 0)
    with ExitStack() as stack:
        _, ada = follow(stack, audience, "ada")
        audience.call_all()
        audience.tell()
    await asyncio.sleep(0.01)
    assert ada == []
    assert not audience.user_ids
    assert not audience._with_news


async def test_no_subscription_is_woken_after_the_end(stack: ExitStack) -> None:
    audience = Audience(Board(), 0.01)
    _, ada = follow(stack, audience, "ada")
    audience._woken_at = asyncio.get_running_loop().time()
    audience.call_all()
    audience.tell()
    audience.close()
    await asyncio.sleep(0.03)
    assert ada == []
