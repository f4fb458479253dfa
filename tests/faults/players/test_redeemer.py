"""What is recorded of tickets that are shown, on a real gateway."""

import asyncio
import random
import time

import psycopg
import pytest
from tests.fixtures.services.gateway import Gateway

from faults.model.history import History, Outcome, Redemption
from faults.network.proxy import Proxy
from faults.players.account import Account
from faults.players.gateway_client import GatewayClient
from faults.players.player import Player
from faults.players.redeemer import Redeemer
from faults.players.ticket import Ticket


@pytest.fixture
def player(client: GatewayClient) -> Player:
    return Player(Account(client, "ada-lovelace"), client, History(), random.Random(1))


@pytest.fixture
def redeemer() -> Redeemer:
    return Redeemer("bearer", History())


async def perform(player: Player, action_id: str = "wave") -> Ticket:
    ticket = await player.perform(action_id, {"mood": "good"})
    assert ticket
    return ticket


async def test_redeemed_ticket_is_recorded_as_the_award_that_it_makes(
    player: Player, client: GatewayClient, redeemer: Redeemer, gateway: Gateway
) -> None:
    for action_id in ("wave", "check_in"):
        ticket = await perform(player, action_id)
        before = time.time()
        shown = await redeemer.show(ticket, client)
        with psycopg.connect(gateway.database.score_owner_dsn) as connection:
            row = connection.execute(
                "SELECT board_id, award_id::text, user_id, points, action_type, action_id, total_after"
                " FROM score.award ORDER BY revision DESC LIMIT 1"
            ).fetchone()
        assert shown.result
        assert row == (*shown.asked[:6], shown.result.total)
        assert (shown.outcome, shown.result.replayed) == (Outcome.MADE, False)
        assert (shown.is_genuine, shown.has_result) == (True, True)
        assert before <= shown.shown_at <= shown.answered_at <= time.time() + 0.1
        assert shown.expires_at - shown.issued_at == 10
    assert redeemer.history.events[-1] is shown


async def test_second_request_gets_the_first_outcome_as_used(
    player: Player, client: GatewayClient, redeemer: Redeemer
) -> None:
    ticket = await perform(player)
    first, second = [await redeemer.show(ticket, client) for _ in range(2)]

    assert first.result
    assert second.outcome is Outcome.MADE
    assert second.result == first.result._replace(replayed=True)


async def test_other_result_and_forged_ticket_are_rejected(
    player: Player, client: GatewayClient, redeemer: Redeemer
) -> None:
    ticket = await perform(player)
    bent = await redeemer.show(ticket, client, {"points": 4})
    forged = await redeemer.show(ticket.forge(points=4), client)

    assert (bent.outcome, bent.reason, bent.has_result) == (Outcome.REJECTED, "ticket_data_mismatch", False)
    assert (forged.outcome, forged.reason, forged.is_genuine) == (Outcome.REJECTED, "bad_ticket", False)


async def test_late_ticket_is_rejected(
    player: Player, client: GatewayClient, redeemer: Redeemer, gateway: Gateway
) -> None:
    ticket = await perform(player)
    gateway.clock.advance(3600)
    late = await redeemer.show(ticket, client)

    assert (late.outcome, late.reason) == (Outcome.REJECTED, "ticket_expired")


async def test_lost_answer_leaves_the_outcome_open(
    player: Player, client: GatewayClient, redeemer: Redeemer, proxy: Proxy
) -> None:
    ticket = await perform(player)
    proxy.cut_replies(after=20)
    lost = await redeemer.show(ticket, client)
    again = await redeemer.show(ticket, client)

    assert (lost.outcome, lost.result) == (Outcome.UNKNOWN, None)
    assert again.outcome is Outcome.MADE


async def test_bearer_who_is_gone_does_not_know(
    player: Player, client: GatewayClient, redeemer: Redeemer, proxy: Proxy
) -> None:
    ticket = await perform(player)
    proxy.hold_replies()
    task = asyncio.create_task(redeemer.show(ticket, client))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    (shown,) = redeemer.history.events

    assert isinstance(shown, Redemption)
    assert (shown.outcome, shown.reason) == (Outcome.UNKNOWN, "left")


async def test_action_that_was_paid_gives_no_ticket(
    player: Player, client: GatewayClient, redeemer: Redeemer
) -> None:
    await redeemer.show(await perform(player, "check_in"), client)

    assert await player.perform("check_in", None) is None


async def test_gateway_that_is_unavailable_gives_no_ticket(player: Player, proxy: Proxy) -> None:
    await proxy.stop()

    assert await player.perform("wave", None) is None
