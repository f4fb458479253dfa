"""What a user would be paid for an action that begins now, and whether they were."""

from uuid_utils.compat import uuid7

from action_gateway.actions.payments import Payments
from action_gateway.domain.action import Kind, Repeat, StartedAction, find_award_id
from action_gateway.domain.clock import Clock
from action_gateway.domain.payment import EarlierPayment
from action_gateway.domain.ticket import find_ticket_award_id
from action_gateway.leaderboard.calendar import Calendar
from action_gateway.store.store import OfferedAction


class Openings:
    """Begins actions. Raises UnavailableError while the score service is unavailable."""

    def __init__(
        self,
        payments: Payments,
        calendar: Calendar,
        clock: Clock,
        *,
        board_id: str,
        lifetime: int,
        issuer: str,
    ) -> None:
        """Take the board of actions that name none, the seconds for an answer, and the issuer of tickets."""
        self._payments = payments
        self._calendar = calendar
        self._clock = clock
        self._board_id = board_id
        self._lifetime = lifetime
        self._issuer = issuer

    async def begin(self, action: OfferedAction, user_id: str) -> StartedAction:
        """Let a user begin an action now."""
        now = self._clock()
        board_id = action.board_id or self._board_id
        day = await self._calendar.find_day(board_id) if action.repeat is Repeat.DAILY else ""
        return StartedAction(
            user_id=user_id,
            action_id=action.action_id,
            version=action.version,
            board_id=board_id,
            points=action.points,
            repeat=action.repeat,
            min_ms=action.min_ms,
            nonce=uuid7(),  # Ordered by time: it becomes the id of an award, see docs/performance.md.
            started_at_ms=int(now * 1000),
            expires_at=int(now) + self._lifetime,
            day=day,
        )

    async def find_completion(self, action: OfferedAction, started: StartedAction) -> EarlierPayment | None:
        """Return the payment after which the action does not pay this user any more, or not today."""
        if started.repeat is Repeat.UNLIMITED:
            return None
        award_id = find_award_id(started)
        if action.kind is Kind.INSTANT:
            award_id = find_ticket_award_id(self._issuer, str(award_id))
        return await self._payments.find(started.board_id, award_id)
