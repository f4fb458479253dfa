"""What a ticket asks for, as its bearer computes it."""

import time
import uuid
from pathlib import Path

import pytest
from tests.fixtures.services.gateway import add_signing_key

from action_gateway.accounts.keys import KeyFolder
from action_gateway.accounts.score_tickets import ScoreTickets
from action_gateway.domain.action import Repeat, StartedAction
from action_gateway.errors import BadTicketError
from action_gateway.issuers.claims import read_ticket
from action_gateway.issuers.issuer import Issuer as Registered
from action_gateway.issuers.issuers_file import parse_issuers
from action_gateway.issuers.rejections import Reason, RejectedError
from faults.players.ticket import Issuer, Ticket
from score_client.tickets import find_digest


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


@pytest.fixture
def registered(issuers_file: Path) -> Registered:
    """Return an outside issuer as a gateway reads it."""
    [issuer] = parse_issuers(issuers_file, Path.read_text, own_issuer="test").values()
    return issuer


def test_ticket_of_an_issuer_outside_asks_for_what_the_gateway_pays(
    issuers_file: Path, registered: Registered
) -> None:
    ticket = Issuer.read(issuers_file).issue("ada", 50, "duel-1")
    due = read_ticket(ticket.claims, registered, time.time())

    assert ticket.is_genuine
    assert find_digest(ticket.result) == due.digest
    assert ticket.asked._asdict() == {
        "board_id": due.board_id,
        "award_id": str(due.award_id),
        "user_id": due.user_id,
        "points": due.points,
        "action_type": due.action_type,
        "action_id": due.action_id,
        "request_id": None,
        "occurred_at": None,
    }


def test_ticket_for_more_points_than_its_issuer_may_give_is_not_genuine(
    issuers_file: Path, registered: Registered
) -> None:
    ticket = Issuer.read(issuers_file).issue("ada", 51, "duel-1")

    assert not ticket.is_genuine
    with pytest.raises(RejectedError) as rejected:
        read_ticket(ticket.claims, registered, time.time())
    assert rejected.value.reason is Reason.POINTS


def test_token_is_in_no_repr(tickets: ScoreTickets) -> None:
    ticket, _ = issue(tickets)

    assert ticket.token not in repr(ticket)
