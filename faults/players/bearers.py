"""Those who have tickets: they redeem them well and badly, in time and late, at one gateway and another."""

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from faults.model.history import Outcome, Redemption
from faults.players.gateway_client import GatewayClient
from faults.players.player import Player
from faults.players.redeemer import Redeemer
from faults.players.ticket import Issuer, Ticket

_FAVOURITE: Final = 12
"""How much rather than others the first action is performed, which pays again and again."""
_LATE_SECONDS: Final = 5.3
"""After its end, a ticket is late for sure: clocks may differ by five seconds."""
_WAIT_MAX: Final = 12.0
"""Longer than any ticket lives; one that seems to live longer is of a gateway whose clock was wrong."""
_GIVE_UP: Final = 0.1
"""How likely a bearer is to stop after a try without an answer."""
_WAIT: Final = 0.3
"""How likely it is to come again after the time of the ticket only."""
_PAUSE_MAX: Final = 1.0
_OUTSIDE: Final = 0.25
"""How likely a ticket is one of an outside issuer, where there is one."""
_OUTSIDE_USERS: Final = ("ada", "ben", "eve")
_OUTSIDE_POINTS: Final = 20
"""At most, in a ticket that may be given."""


class Bearers:
    """Perform instant actions as players, and redeem the tickets as their bearers."""

    def __init__(
        self,
        choose: Callable[[], Player],
        action_ids: Sequence[str],
        gateways: Sequence[GatewayClient],
        redeemer: Redeemer,
        randomness: random.Random,
        issuer: Issuer | None = None,
    ) -> None:
        """Take who performs next, instant actions, where tickets may be shown, and an outside issuer.

        Of the actions, the first pays again and again, and the others once or once a day.
        """
        self._choose = choose
        self._favourite, *self._rare = action_ids
        self._gateways = gateways
        self._redeemer = redeemer
        self._randomness = randomness
        self._issuer = issuer
        mix: dict[Callable[[], Awaitable[object]], float] = {
            self._redeem: 45,
            self._redeem_twice: 10,
            self._race: 15,
            self._collect: 10,
            self._come_late: 8,
            self._err: 8,
            self._forge: 4,
        }
        if issuer:
            mix[partial(self._exceed, issuer)] = 4
        self._deeds, self._weights = [*mix], [*mix.values()]

    async def act(self) -> None:
        """Do one of the things that are done with tickets."""
        (deed,) = self._randomness.choices(self._deeds, self._weights)
        await deed()

    async def _redeem(self) -> None:
        if ticket := await self._get():
            await self._insist(ticket)

    async def _redeem_twice(self) -> None:
        if ticket := await self._get():
            await self._insist(ticket)
            await self._insist(ticket)

    async def _race(self) -> None:
        """Show a ticket at all gateways at once, now and then with another result."""
        if ticket := await self._get():
            async with asyncio.TaskGroup() as group:
                for gateway in self._gateways:
                    result = _bend(ticket) if self._chance(0.2) else None
                    group.create_task(self._redeemer.show(ticket, gateway, result))
            await self._insist(ticket)

    async def _collect(self) -> None:
        """Get several tickets for one award, and show them at once."""
        if self._issuer and self._chance(_OUTSIDE):
            tickets = self._issue(self._issuer, times=3)
        else:
            player, action_id = self._choose(), self._randomness.choice(self._rare)
            tickets = [ticket for _ in range(3) if (ticket := await player.perform(action_id, None))]
        async with asyncio.TaskGroup() as group:
            for ticket in tickets:
                group.create_task(self._insist(ticket))

    async def _come_late(self) -> None:
        """Show a ticket when its time is over; half of the time it was shown before."""
        if ticket := await self._get():
            if self._chance(0.5):
                await self._show(ticket)
            await self._until_late(ticket)
            await self._insist(ticket)

    async def _err(self) -> None:
        """Show a ticket with another result, and most times with its own after that."""
        if ticket := await self._get():
            await self._show(ticket, _bend(ticket))
            if self._chance(0.7):
                await self._insist(ticket)

    async def _forge(self) -> None:
        """Have a ticket say more points, or another award; half of the time show the genuine one as well."""
        if ticket := await self._get():
            claims = ticket.claims
            changes = {"points": claims["points"] + 1} if self._chance(0.5) else {"jti": claims["jti"][::-1]}
            await self._show(ticket.forge(**changes))
            if self._chance(0.5):
                await self._insist(ticket)

    async def _exceed(self, issuer: Issuer) -> None:
        """Show a ticket for more points than its issuer may give, and most times a good one after that."""
        ticket_id, user = self._name(), self._randomness.choice(_OUTSIDE_USERS)
        excess = self._randomness.randint(1, _OUTSIDE_POINTS)
        await self._show(issuer.issue(user, issuer.points_max + excess, ticket_id))
        if self._chance(0.7):
            await self._insist(issuer.issue(user, excess, ticket_id))

    async def _insist(self, ticket: Ticket) -> None:
        """Show a ticket until it is known what came of it, or its bearer gives up."""
        pause = 0.1
        while (await self._show(ticket)).outcome is Outcome.UNKNOWN and not self._chance(_GIVE_UP):
            if self._chance(_WAIT):
                await self._until_late(ticket)
            await asyncio.sleep(pause * self._randomness.random())
            pause = min(_PAUSE_MAX, pause * 2)

    async def _get(self) -> Ticket | None:
        """Get a ticket: from an outside issuer, or by an action."""
        if self._issuer and self._chance(_OUTSIDE):
            return self._issue(self._issuer)[0]
        return await self._perform()

    def _issue(self, issuer: Issuer, times: int = 1) -> list[Ticket]:
        """Have an outside issuer sign tickets for one award."""
        user, ticket_id = self._randomness.choice(_OUTSIDE_USERS), self._name()
        points = self._randomness.randint(1, _OUTSIDE_POINTS)
        return [issuer.issue(user, points, ticket_id) for _ in range(times)]

    def _name(self) -> str:
        return str(uuid.UUID(int=self._randomness.getrandbits(128)))

    async def _perform(self) -> Ticket | None:
        kinds = (self._favourite, *self._rare)
        (action_id,) = self._randomness.choices(kinds, (_FAVOURITE, *[1] * len(self._rare)))
        data = {
            "mood": self._randomness.choice(("good", "schön", None)),
            "steps": self._randomness.randint(0, 9),
        }
        return await self._choose().perform(action_id, data)

    async def _show(self, ticket: Ticket, result: object = None) -> Redemption:
        return await self._redeemer.show(ticket, self._randomness.choice(self._gateways), result)

    async def _until_late(self, ticket: Ticket) -> None:
        await asyncio.sleep(min(_WAIT_MAX, ticket.claims["exp"] + _LATE_SECONDS - time.time()))

    def _chance(self, probability: float) -> bool:
        return self._randomness.random() < probability


def _bend(ticket: Ticket) -> object:
    """Make another result of the one that a ticket was given for."""
    return ticket.result | {"points": ticket.result["points"] + 1}
