"""What bearers do with tickets, by a redeemer that writes down what is shown."""

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tests.faults.ticketed import rejected, show, unknown

from action_gateway.actions.catalog import read_catalog
from action_gateway.domain.action import Kind, Repeat
from faults.cluster.actions import ACTIONS_FILE, read_instants
from faults.model.history import Redemption
from faults.players.bearers import Bearers
from faults.players.ticket import Issuer, Ticket

GATEWAYS: Sequence[Any] = ("all", "first", "second")


@dataclass(frozen=True)
class _Ticket(Ticket):
    """A ticket that says what a test wants."""

    said: dict[str, Any] = field(default_factory=dict)

    @property
    def claims(self) -> dict[str, Any]:
        return self.said

    def forge(self, **changes: object) -> "_Ticket":
        return replace(self, said=self.said | changes, is_genuine=False)


@dataclass(slots=True)
class ScriptedPlayer:
    """Gets a ticket for every action."""

    performed: list[str] = field(default_factory=list)

    async def perform(self, action_id: str, _: object) -> Ticket | None:
        self.performed.append(action_id)
        claims = {"points": 3, "jti": f"{len(self.performed)}-{action_id}", "exp": time.time() - 60}
        return _Ticket(f"ticket {len(self.performed)}", {"points": 3}, said=claims)


@dataclass(slots=True)
class ScriptedRedeemer:
    """Answers as it is told to, and then that the ticket was paid."""

    shown: list[tuple[Ticket, Any, Any]] = field(default_factory=list)
    answers: list[Redemption] = field(default_factory=list)

    async def show(self, ticket: Ticket, gateway: Any, result: object = None) -> Redemption:
        self.shown.append((ticket, gateway, result))
        return self.answers.pop(0) if self.answers else show()


@pytest.fixture
def player() -> ScriptedPlayer:
    return ScriptedPlayer()


@pytest.fixture
def redeemer() -> ScriptedRedeemer:
    return ScriptedRedeemer()


@pytest.fixture
def bearers(player: ScriptedPlayer, redeemer: ScriptedRedeemer) -> Bearers:
    who: Any = player
    where: Any = redeemer
    return Bearers(lambda: who, read_instants(), GATEWAYS, where, random.Random(1))


@pytest.fixture
def issuer(issuers_file: Path) -> Issuer:
    return Issuer.read(issuers_file)


@pytest.fixture
def served(player: ScriptedPlayer, redeemer: ScriptedRedeemer, issuer: Issuer) -> Bearers:
    """Return bearers whom an outside issuer gives tickets, too."""
    who: Any = player
    where: Any = redeemer
    return Bearers(lambda: who, read_instants(), GATEWAYS, where, random.Random(1), issuer)


def test_instant_actions_are_those_of_the_catalog_and_the_first_pays_again_and_again() -> None:
    instants = [action for action in read_catalog(ACTIONS_FILE) if action.kind is Kind.INSTANT]

    assert read_instants() == [action.action_id for action in instants]
    assert [action.repeat for action in instants] == [Repeat.UNLIMITED, Repeat.ONCE, Repeat.DAILY]


async def test_every_action_is_performed_and_every_gateway_asked(
    bearers: Bearers, player: ScriptedPlayer, redeemer: ScriptedRedeemer
) -> None:
    for _ in range(100):
        await bearers._redeem()

    assert set(player.performed) == set(read_instants())
    assert Counter(player.performed).most_common(1)[0][0] == "wave"
    assert {gateway for _, gateway, _ in redeemer.shown} == set(GATEWAYS)
    assert len(redeemer.shown) == 100


async def test_ticket_without_an_outcome_is_shown_again_and_one_with_an_outcome_is_not(
    bearers: Bearers, redeemer: ScriptedRedeemer
) -> None:
    redeemer.answers = [unknown(1.0), rejected(1.0, "ticket_expired")]
    await bearers._redeem()

    assert len(redeemer.shown) == 2
    assert len({ticket.token for ticket, _, _ in redeemer.shown}) == 1


async def test_race_shows_one_ticket_at_all_gateways(bearers: Bearers, redeemer: ScriptedRedeemer) -> None:
    await bearers._race()

    assert [gateway for _, gateway, _ in redeemer.shown[:3]] == [*GATEWAYS]
    assert len({ticket.token for ticket, _, _ in redeemer.shown}) == 1


async def test_tickets_for_one_award_are_shown_together(
    bearers: Bearers, player: ScriptedPlayer, redeemer: ScriptedRedeemer
) -> None:
    await bearers._collect()

    assert len(set(player.performed)) == 1
    assert player.performed[0] != "wave"
    assert len({ticket.token for ticket, _, _ in redeemer.shown}) == 3


async def test_another_result_comes_before_the_right_one(
    bearers: Bearers, redeemer: ScriptedRedeemer
) -> None:
    while len(redeemer.shown) < 2:
        redeemer.shown.clear()
        await bearers._err()
    (ticket, _, bent), (same, _, right) = redeemer.shown

    assert ticket is same
    assert bent not in (None, ticket.result)
    assert right is None


async def test_forged_ticket_says_something_else(bearers: Bearers, redeemer: ScriptedRedeemer) -> None:
    for _ in range(20):
        await bearers._forge()
    forged = [ticket for ticket, _, _ in redeemer.shown if not ticket.is_genuine]

    assert len(forged) == 20
    assert {ticket.claims["points"] for ticket in forged} == {3, 4}
    assert 0 < len(redeemer.shown) - 20 < 20


async def test_late_ticket_was_shown_in_time_or_not(bearers: Bearers, redeemer: ScriptedRedeemer) -> None:
    for _ in range(20):
        await bearers._come_late()

    times = Counter(Counter(ticket.token for ticket, _, _ in redeemer.shown).values())
    assert times.keys() == {1, 2}


async def test_some_tickets_are_those_of_an_issuer_outside(
    served: Bearers, player: ScriptedPlayer, redeemer: ScriptedRedeemer
) -> None:
    for _ in range(100):
        await served._redeem()
    outside = [ticket for ticket, _, _ in redeemer.shown if ticket.issuer_name]

    assert len(redeemer.shown) == 100
    assert len(outside) == 100 - len(player.performed)
    assert 10 < len(outside) < 50
    assert {ticket.is_genuine for ticket in outside} == {True}
    assert len({ticket.asked.award_id for ticket in outside}) == len(outside)


async def test_tickets_of_an_issuer_outside_for_one_award_are_shown_together(
    served: Bearers, player: ScriptedPlayer, redeemer: ScriptedRedeemer
) -> None:
    while not redeemer.shown or player.performed:
        redeemer.shown.clear()
        player.performed.clear()
        await served._collect()

    assert len(redeemer.shown) == 3
    assert len({ticket.asked for ticket, _, _ in redeemer.shown}) == 1


async def test_ticket_for_more_points_than_may_be_given_comes_before_one_for_the_same_award_that_may(
    served: Bearers, redeemer: ScriptedRedeemer, issuer: Issuer
) -> None:
    while len(redeemer.shown) < 2:
        redeemer.shown.clear()
        await served._exceed(issuer)
    (greedy, _, _), (modest, _, _) = redeemer.shown

    assert greedy.asked.points > issuer.points_max >= modest.asked.points
    assert (greedy.is_genuine, modest.is_genuine) == (False, True)
    assert greedy.asked._replace(points=modest.asked.points) == modest.asked


async def test_bearer_without_a_ticket_shows_nothing(
    bearers: Bearers, redeemer: ScriptedRedeemer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def perform(_: ScriptedPlayer, _action_id: str, _data: object) -> None:
        pass

    monkeypatch.setattr(ScriptedPlayer, "perform", perform)
    for deed in bearers._deeds:
        await deed()

    assert redeemer.shown == []
