"""Starting and completing actions: the way from an answer to points.

The ledger of the score service alone knows who was paid. What is kept here is what it cannot know: how many
attempts a token has had, and whether one was right. That is written before the points are asked for, so
whatever gets lost on the way, asking again with the same token ends in the same payment, and no token is
used up by a part that was unavailable.
"""

import asyncio
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from action_gateway.accounts.tokens import ActionTokens
from action_gateway.actions.editions import Editions
from action_gateway.actions.openings import Openings
from action_gateway.actions.payments import Payments
from action_gateway.domain.action import Kind, Repeat, StartedAction, find_award_id, find_request_id
from action_gateway.domain.clock import Clock
from action_gateway.domain.payment import Due, EarlierPayment, Payment
from action_gateway.errors import (
    ActionCompletedError,
    ActionNotFoundError,
    ActionTokenExpiredError,
    ActionTokenForeignError,
    ActionTokenSpentError,
    ActionTokenUsedError,
    GatewayError,
    PaidError,
    TooFastError,
    UnauthenticatedError,
    UnavailableError,
    WrongAnswerError,
)
from action_gateway.limits.limits import Limits
from action_gateway.request_context import note_action
from action_gateway.store.store import OfferedAction, Store

_ACTION_TYPE: Final = "puzzle"
_LOOKUPS_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True, repr=False)
class Start:
    """An action that was started, and the token that says so."""

    action: OfferedAction
    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """What a user says about a started action."""

    user_id: str
    action_token: str
    answer: str
    idempotency_key: str | None
    """With one, the same answer may be sent again and ends the same."""

    def name_request(self) -> uuid.UUID:
        """Name the request for points: the same for the same answer with a key, a new one without."""
        if self.idempotency_key is None:
            return uuid.uuid4()
        return find_request_id(self.user_id, self.idempotency_key, self.action_token, self.answer)


class Actions:
    """The commands around actions. They raise UnavailableError while a part they need is unavailable."""

    def __init__(
        self,
        *,
        store: Store,
        editions: Editions,
        openings: Openings,
        payments: Payments,
        limits: Limits,
        action_tokens: ActionTokens,
        clock: Clock,
        attempts: int,
    ) -> None:
        """Take how many answers an action token allows."""
        self._store = store
        self._editions = editions
        self._openings = openings
        self._payments = payments
        self._limits = limits
        self._action_tokens = action_tokens
        self._clock = clock
        self._attempts = attempts

    async def list_actions(self, user_id: str) -> list[tuple[OfferedAction, bool]]:
        """List the actions; with each, whether it does not pay this user any more, or not today."""
        actions = await self._store.list_actions()
        room = asyncio.Semaphore(_LOOKUPS_AT_ONCE)

        async def is_completed(action: OfferedAction) -> bool:
            async with room:
                started = await self._openings.begin(action, user_id)
                return await self._openings.find_completion(action, started) is not None

        completed = await asyncio.gather(*map(is_completed, actions))
        return list(zip(actions, completed, strict=True))

    async def start(self, user_id: str, action_id: str) -> Start:
        """Start an action.

        Raises:
            RateLimitedError, ActionNotFoundError: nothing was started. An instant action cannot be.
            ActionCompletedError: it would not pay.
        """
        await self._limits.start(user_id)
        action = await self._editions.get_action(action_id)
        if action.kind is not Kind.PUZZLE:
            raise ActionNotFoundError
        note_action(action.action_id)
        started = await self._openings.begin(action, user_id)
        completion = await self._openings.find_completion(action, started)
        if completion is not None:
            raise ActionCompletedError(completion.outcome)
        expires_at = datetime.fromtimestamp(started.expires_at, UTC)
        return Start(action, self._action_tokens.issue(started), expires_at)

    async def complete(self, given: Answer) -> Payment:
        """Pay for the answer to a started action, once.

        Raises:
            BadActionTokenError, ActionTokenForeignError: it is no token of this user.
            PaidError: it was paid before, which is said whatever else is wrong.
            ActionTokenExpiredError, RateLimitedError, TooFastError: the answer was not looked at.
            ActionTokenSpentError, WrongAnswerError: the token has no attempts left, or one less.
            UnauthenticatedError: the user has left.
            ScoreLimitError: the points would not fit.
        """
        started = self._action_tokens.verify(given.action_token)
        note_action(started.action_id)
        if started.user_id != given.user_id:
            raise ActionTokenForeignError
        try:
            solved_before = await self._judge(started, given.answer)
        except GatewayError as rejection:
            return await self._reconsider(started, given, rejection)
        paid = await self._payments.make(_due(started), given.name_request())
        if isinstance(paid, EarlierPayment):
            raise _paid(started, given, paid, solved=solved_before)
        return paid

    async def _judge(self, started: StartedAction, answer: str) -> bool:
        """Count an attempt and find the answer right; tell whether an earlier attempt was right already.

        The answer is compared first but tells nothing unless there was an attempt left for it. So one
        statement can count the attempt and keep that it was right, and no crash comes in between.
        """
        now = self._clock()
        if now >= started.expires_at:
            raise ActionTokenExpiredError
        await self._limits.complete(started.user_id)
        # Another gateway, whose clock is ahead, may have started it; how fast it was is not known then.
        if 0 <= now * 1000 - started.started_at_ms < started.min_ms:
            raise TooFastError
        key = await self._editions.get_answers(started.action_id, started.version)
        right = key.accepts(answer)
        attempt = await self._store.reserve_attempt(
            started.nonce,
            user_id=started.user_id,
            right=right,
            allowed=self._attempts,
            expires_at=datetime.fromtimestamp(started.expires_at, UTC),
        )
        if attempt is None:
            await self._check_presence(started.user_id)
            raise ActionTokenSpentError
        if not right and attempt.number > self._attempts:
            raise ActionTokenSpentError
        if not right:
            raise WrongAnswerError(self._attempts - attempt.number)
        return attempt.number != attempt.solved_by

    async def _check_presence(self, user_id: str) -> None:
        if await self._store.departures.has_departed(user_id):
            raise UnauthenticatedError

    async def _reconsider(self, started: StartedAction, given: Answer, rejection: GatewayError) -> Payment:
        """Let a payment that was made win over a rejection.

        A request that may be repeated gets the payment again if it was the one that made it.
        """
        paid = await self._find_payment(started, rejection)
        if paid is None:
            raise rejection
        if given.idempotency_key is not None:
            made = await self._payments.make(_due(started), given.name_request())
            if isinstance(made, Payment):
                return made
        solved = started.repeat is Repeat.UNLIMITED or await self._store.is_solved(started.nonce)
        raise _paid(started, given, paid, solved=solved)

    async def _find_payment(self, started: StartedAction, rejection: GatewayError) -> EarlierPayment | None:
        try:
            return await self._payments.find(started.board_id, find_award_id(started))
        except UnavailableError:
            if isinstance(rejection, WrongAnswerError):
                # True whatever was paid, and an attempt is gone, so the client has to know.
                raise rejection from None
            raise


def _due(started: StartedAction) -> Due:
    return Due(
        board_id=started.board_id,
        award_id=find_award_id(started),
        user_id=started.user_id,
        points=started.points,
        action_type=_ACTION_TYPE,
        action_id=started.action_id,
    )


def _paid(started: StartedAction, given: Answer, paid: EarlierPayment, *, solved: bool) -> PaidError:
    """Make the error of an earlier payment: for this token if it was answered rightly, else for another.

    Where each token is paid for by itself, a request over again would have been the one that was paid. Where
    it is not, one with a key may have been told before that the action was completed.
    """
    if started.repeat is Repeat.UNLIMITED:
        return ActionTokenUsedError(paid.outcome)
    if solved:
        return ActionTokenUsedError(paid.outcome, repeated=given.idempotency_key is not None)
    return ActionCompletedError(paid.outcome)
