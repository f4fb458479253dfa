"""What outside issuers have left to give: to users who exist, and so many tickets and points a minute.

Counted at all gateways together, like what players do, and locally while Redis is unavailable. A process
counts a ticket once, however often it is shown there, also one that has to wait for points: nobody uses up an
issuer's minute by repeating one. An issuer may sign other points under the same id, or another board, which
has a ledger of its own. So neither is covered by what was counted before.
"""

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import Final, NamedTuple, Self

from action_gateway.domain.ticket import Ticket
from action_gateway.errors import BadTicketError, RateLimitedError
from action_gateway.issuers.issuer import Issuer, Users
from action_gateway.issuers.register import Register
from action_gateway.issuers.rejections import Reason, Rejections
from action_gateway.limits.limits import Limits

FetchUsernames = Callable[[Collection[str]], Awaitable[Mapping[str, str | None]]]
"""Reads the names of users, None for those who have left; unknown ones are left out."""

_COUNTED_MAX: Final = 20_000
"""What is known to be counted: each ticket for two limits. The oldest are forgotten."""


class _Gift(NamedTuple):
    """What a ticket gives. All tickets that give the same are counted once."""

    board_id: str
    award_id: uuid.UUID
    points: int

    @classmethod
    def of(cls, ticket: Ticket) -> Self:
        return cls(ticket.board_id, ticket.award_id, ticket.points)


class Allowance:
    """Judges what the tickets of outside issuers give. Tickets of this gateway pass."""

    def __init__(
        self, register: Register, limits: Limits, rejections: Rejections, fetch_usernames: FetchUsernames
    ) -> None:
        self._register = register
        self._limits = limits
        self._rejections = rejections
        self._fetch_usernames = fetch_usernames
        self._counted = OrderedDict[tuple[_Gift, Reason], None]()
        self._under_way = dict[_Gift, asyncio.Event]()

    async def check_user(self, ticket: Ticket) -> None:
        """Check that the user of a ticket exists, where it is to be one of this gateway.

        Raises:
            BadTicketError: there is no such user, or there is none any more.
            UnavailableError: PostgreSQL is unavailable.
        """
        if not ticket.is_outside or self._get_issuer(ticket).users is Users.OWN:
            return
        names = await self._fetch_usernames([ticket.user_id])
        if names.get(ticket.user_id) is None:
            self._rejections.note(ticket.issuer_name, Reason.UNKNOWN_USER)
            raise BadTicketError

    async def count(self, ticket: Ticket) -> None:
        """Count a ticket, unless it was.

        Raises:
            RateLimitedError: its issuer has nothing left to give. It names no limit, since no player has
                reached one.
        """
        if not ticket.is_outside:
            return
        gift = _Gift.of(ticket)
        while (earlier := self._under_way.get(gift)) is not None:
            await earlier.wait()
        done = self._under_way[gift] = asyncio.Event()
        try:
            await self._count(gift, self._get_issuer(ticket))
        finally:
            del self._under_way[gift]
            done.set()

    def note_denial(self, ticket: Ticket) -> None:
        """Note that the score service does not let this gateway pay a ticket."""
        if ticket.is_outside:
            self._rejections.note(ticket.issuer_name, Reason.SCORE_SERVICE_DENIED)

    async def _count(self, gift: _Gift, issuer: Issuer) -> None:
        redeem = partial(self._limits.redeem_of_issuer, issuer.name, issuer.redeems_per_minute)
        pay = partial(self._limits.pay_for_issuer, issuer.name, issuer.points_per_minute, gift.points)
        for reason, hit in ((Reason.REDEEMS_PER_MINUTE, redeem), (Reason.POINTS_PER_MINUTE, pay)):
            if (gift, reason) in self._counted:
                continue
            try:
                await hit()
            except RateLimitedError as error:
                self._rejections.note(issuer.name, reason)
                raise RateLimitedError(error.retry_after) from None
            self._keep(gift, reason)

    def _keep(self, gift: _Gift, reason: Reason) -> None:
        self._counted[gift, reason] = None
        if len(self._counted) > _COUNTED_MAX:
            self._counted.popitem(last=False)

    def _get_issuer(self, ticket: Ticket) -> Issuer:
        """Return who has issued a ticket. Raises BadTicketError if that was taken from the register since."""
        if (issuer := self._register.find(ticket.issuer)) is None:
            raise BadTicketError
        return issuer
