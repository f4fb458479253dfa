"""What a player records of its completions, on a real gateway."""

import asyncio
import random

import psycopg
import pytest
from tests.fixtures.services.gateway import Gateway

from faults.model.history import History, Outcome
from faults.network.proxy import Proxy
from faults.players.account import Account
from faults.players.action_token import award_of
from faults.players.gateway_client import GatewayClient
from faults.players.player import Completion, Player


class _Patient(random.Random):
    """Never gives up, and does not wait."""

    def random(self) -> float:
        return 0.25


@pytest.fixture
def ada(client: GatewayClient) -> Player:
    return Player(Account(client, "ada-lovelace"), client, History(), _Patient())


@pytest.fixture
def bob(client: GatewayClient) -> Player:
    return Player(Account(client, "bob-ross"), client, History(), _Patient())


async def _start(player: Player, action_id: str = "quick") -> str:
    token = await player.start(action_id)
    assert token is not None
    return token


async def test_completion_is_made_under_the_id_in_the_token(ada: Player, gateway: Gateway) -> None:
    for action_id, answer in (("quick", "yes"), ("once", "1"), ("daily", "d")):
        call = await ada.complete(Completion(await _start(ada, action_id), answer, None))
        assert call.outcome is Outcome.MADE
        with psycopg.connect(gateway.database.score_owner_dsn) as connection:
            row = connection.execute(
                "SELECT award_id::text, user_id, points, action_type, action_id, total_after"
                " FROM score.award ORDER BY revision DESC LIMIT 1"
            ).fetchone()
        asked, result = call.asked, call.result
        assert result is not None
        fields = (asked.award_id, asked.user_id, asked.points, asked.action_type, asked.action_id)
        assert row == (*fields, result.total)


async def test_second_completion_gets_the_first_outcome(ada: Player) -> None:
    done = Completion(await _start(ada), "yes", None)
    first, second = await ada.complete(done), await ada.complete(done)
    assert (second.outcome, second.result) == (Outcome.MADE, first.result)


async def test_two_completions_at_the_same_time_are_one_award(ada: Player) -> None:
    token = await _start(ada)
    calls = await asyncio.gather(*(ada.complete(Completion(token, "yes", key)) for key in "ab"))
    assert {call.outcome for call in calls} == {Outcome.MADE}
    assert len({call.result for call in calls}) == 1


async def test_wrong_answer_is_rejected_and_the_right_one_is_made_after_it(ada: Player) -> None:
    token = await _start(ada)
    wrong, right = [await ada.complete(Completion(token, answer, "key")) for answer in ("no", "yes")]
    assert (wrong.outcome, wrong.reason) == (Outcome.REJECTED, "wrong_answer")
    assert right.outcome is Outcome.MADE
    assert wrong.asked == right.asked


async def test_foreign_token_is_rejected_as_the_award_of_its_owner(ada: Player, bob: Player) -> None:
    token = await _start(ada)
    call = await bob.complete(Completion(token, "yes", None))
    assert (call.outcome, call.reason) == (Outcome.REJECTED, "action_token_foreign")
    assert call.asked.user_id == ada.account.user_id
    assert call.caller == "bob-ross"


async def test_action_faster_than_can_be_is_rejected(ada: Player) -> None:
    call = await ada.complete(Completion(await _start(ada, "slow"), "word", None))
    assert (call.outcome, call.reason) == (Outcome.REJECTED, "too_fast")


async def test_action_that_was_done_gives_no_token(ada: Player) -> None:
    await ada.complete(Completion(await _start(ada, "once"), "1", None))
    assert await ada.start("once") is None


async def test_lost_answer_is_asked_for_again(ada: Player, proxy: Proxy) -> None:
    done = Completion(await _start(ada), "yes", "key")
    proxy.cut_replies(after=20)
    call = await ada.complete(done)
    assert call.outcome is Outcome.MADE
    assert proxy.connections > 1


async def test_rejection_after_a_lost_answer_leaves_the_outcome_open(ada: Player, proxy: Proxy) -> None:
    token = await _start(ada, "slow")
    proxy.cut_replies(after=20)
    call = await ada.complete(Completion(token, "word", "key"))
    assert (call.outcome, call.reason) == (Outcome.UNKNOWN, "too_fast")


async def test_player_who_gives_up_does_not_know(ada: Player, proxy: Proxy) -> None:
    done = Completion(await _start(ada), "yes", "key")
    await proxy.stop()
    ada.randomness = random.Random(1)
    call = await ada.complete(done)
    assert call.outcome is Outcome.UNKNOWN
    assert call.reason


async def test_player_who_is_gone_does_not_know(ada: Player, proxy: Proxy) -> None:
    token = await _start(ada)
    proxy.hold_replies()
    task = asyncio.create_task(ada.complete(Completion(token, "yes", None)))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    (call,) = ada.history.events
    assert (call.outcome, call.reason, call.asked) == (Outcome.UNKNOWN, "left", award_of(token))  # type: ignore[union-attr]


async def test_expired_session_is_renewed_within_the_call(ada: Player) -> None:
    done = Completion(await _start(ada), "yes", "key")
    ada.account._access_token = "expired"
    assert (await ada.complete(done)).outcome is Outcome.MADE
