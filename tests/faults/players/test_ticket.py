"""What a ticket asks for, as whoever has it works it out."""

import time
import uuid
from pathlib import Path

import pytest
from tests.fixtures.gateway import add_signing_key

from action_gateway.accounts.keys import KeyFolder
from action_gateway.accounts.score_tickets import ScoreTickets
from action_gateway.domain.action import Repeat, StartedAction
from action_gateway.errors import BadTicketError
from faults.players.ticket import Ticket


@pytest.fixture
def tickets(tmp_path: Path) -> ScoreTickets:
    add_signing_key(tmp_path / "keys")
    return ScoreTickets(KeyFolder(tmp_path / "keys"), issuer="test", lifetime=10, clock=time.time)


def issue(tickets: ScoreTickets, repeat: Repeat = Repeat.UNLIMITED) -> tuple[Ticket, str]:
    """Issue a ticket, and name the award that the gateway asks for."""
    started = StartedAction(
        user_id="ada",
        action_id="wave",
        version=1,
        board_id="main",
        points=3,
        repeat=repeat,
        min_ms=0,
        nonce=uuid.uuid4(),
        started_at_ms=int(time.time() * 1000),
        expires_at=0,
        day="2026-11-30",
    )
    token, ticket = tickets.issue(started, "digest")
    return Ticket(token, {"points": 3}), str(ticket.award_id)


@pytest.mark.parametrize("repeat", list(Repeat))
def test_award_that_a_ticket_is_good_for_is_the_one_that_the_gateway_asks_for(
    tickets: ScoreTickets, repeat: Repeat
) -> None:
    ticket, award_id = issue(tickets, repeat)

    assert ticket.is_genuine
    assert ticket.asked._asdict() == {
        "board_id": "main",
        "award_id": award_id,
        "user_id": "ada",
        "points": 3,
        "action_type": "instant",
        "action_id": "wave",
        "request_id": None,
        "occurred_at": None,
    }


def test_forged_ticket_says_something_else_under_the_same_signature(tickets: ScoreTickets) -> None:
    ticket, _ = issue(tickets)
    forged = ticket.forge(points=1000)

    assert not forged.is_genuine
    assert forged.asked == ticket.asked._replace(points=1000)
    assert forged.token.split(".")[::2] == ticket.token.split(".")[::2]
    with pytest.raises(BadTicketError):
        tickets.verify(forged.token)


def test_token_is_in_no_repr(tickets: ScoreTickets) -> None:
    ticket, _ = issue(tickets)

    assert ticket.token not in repr(ticket)
