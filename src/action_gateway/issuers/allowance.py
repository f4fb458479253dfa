"""What issuers outside have left to give: to users who exist, and so many tickets and points a minute.

Counted at all gateways together, like what players do, and locally while Redis is unavailable. A process
counts a ticket once, however often it is shown there: nobody uses up an issuer's minute by repeating one.
"""

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

from action_gateway.domain.ticket import Ticket
from action_gateway.errors import BadTicketError, RateLimitedError
from action_gateway.issuers.issuer import Issuer, Users
from action_gateway.issuers.register import Register
from action_gateway.issuers.rejections import Reason, Rejections
from action_gateway.limits.limits import Limits

FetchUsernames = Callable[[Collection[str]], Awaitable[Mapping[str, str | None]]]
"""Reads the names of users, None for those who have left; unknown ones are left out."""

_COUNTED_MAX: Final = 10_000
"""Tickets that are known to be counted. The oldest are forgotten."""


class Allowance:
    """Judges what the tickets of issuers outside give. Tickets of this gateway pass."""

    def __init__(
        self, register: Register, limits: Limits, rejections: Rejections, fetch_usernames: FetchUsernames
    ) -> None:
        self._register = register
        self._limits = limits
        self._rejections = rejections
        self._fetch_usernames = fetch_usernames
        self._counted = OrderedDict[uuid.UUID, None]()
        self._under_way = dict[uuid.UUID, asyncio.Event]()

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
        while (earlier := self._under_way.get(ticket.award_id)) is not None:
            await earlier.wait()
        if ticket.award_id in self._counted:
            return
        done = self._under_way[ticket.award_id] = asyncio.Event()
        try:
            await self._count(ticket, self._get_issuer(ticket))
        finally:
            del self._under_way[ticket.award_id]
            done.set()

    def note_denial(self, ticket: Ticket) -> None:
        """Note that the score service does not let this gateway pay a ticket."""
        if ticket.is_outside:
            self._rejections.note(ticket.issuer_name, Reason.SCORE_SERVICE_DENIED)

    async def _count(self, ticket: Ticket, issuer: Issuer) -> None:
        reason = Reason.REDEEMS_PER_MINUTE
        try:
            await self._limits.redeem_of_issuer(issuer.name, issuer.redeems_per_minute)
            reason = Reason.POINTS_PER_MINUTE
            await self._limits.pay_for_issuer(issuer.name, issuer.points_per_minute, ticket.points)
        except RateLimitedError as error:
            self._rejections.note(issuer.name, reason)
            raise RateLimitedError(error.retry_after) from None
        self._counted[ticket.award_id] = None
        if len(self._counted) > _COUNTED_MAX:
            self._counted.popitem(last=False)

    def _get_issuer(self, ticket: Ticket) -> Issuer:
        """Return who has issued a ticket. Raises BadTicketError if that was taken from the register since."""
        if (issuer := self._register.find(ticket.issuer)) is None:
            raise BadTicketError
        return issuer
