"""One player: it starts and completes actions at the gateway, and performs those that are instant.

It keeps a record of what it completes.
"""

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Any, Final

from faults.model.history import AwardCall, History, Outcome
from faults.players.account import Account
from faults.players.action_token import award_of
from faults.players.gateway_client import Answer, GatewayClient, NotNowError
from faults.players.ticket import Ticket
from faults.players.verdict import Verdict, judge

_NO_TOKEN: Final = frozenset({"action_already_completed", "rate_limited"})
_PAUSE_MAX: Final = 1.0
_GIVE_UP: Final = 0.2
"""How likely a player is to stop after a try without an answer."""
_OK, _UNAUTHORIZED = 200, 401


@dataclass(frozen=True, slots=True)
class Completion:
    """A request to complete an action, which may be sent many times."""

    token: str
    answer: str
    key: str | None

    @property
    def body(self) -> dict[str, Any]:
        """What is sent."""
        return {"actionToken": self.token, "proof": {"answer": self.answer}}


@dataclass(slots=True)
class Player:
    """One player, who does one thing after the other."""

    account: Account
    gateway: GatewayClient = field(repr=False)
    history: History = field(repr=False)
    randomness: random.Random = field(repr=False)

    async def start(self, action_id: str) -> str | None:
        """Start an action and give its token; None if there is none, or not now."""
        body = await self._begin("/actions/start", {"actionId": action_id})
        return None if body is None else str(body["actionToken"])

    async def perform(self, action_id: str, data: object) -> Ticket | None:
        """Perform an instant action and give its ticket; None if there is none, or not now."""
        body = await self._begin("/actions/perform", {"actionId": action_id, "data": data})
        return None if body is None else Ticket(body["token"], body["result"])

    async def _begin(self, path: str, body: object) -> dict[str, Any] | None:
        try:
            answer = await self._ask(path, body)
        except NotNowError:
            return None
        if answer.status == _OK:
            return answer.body
        if answer.code in _NO_TOKEN or answer.status == _UNAUTHORIZED:
            return None
        raise answer.unexpected()

    async def complete(self, completion: Completion) -> AwardCall:
        """Send an answer until it is known what came of it, or the player gives up."""
        began = time.monotonic()
        lost, pause = False, 0.1
        try:
            while True:
                verdict = Verdict(Outcome.UNKNOWN, reason="left")
                verdict, retry_after = await self._try(completion, lost=lost)
                lost = lost or verdict.outcome is Outcome.UNKNOWN
                if verdict.final or self.randomness.random() < _GIVE_UP:
                    break
                await asyncio.sleep(retry_after + pause * self.randomness.random())
                pause = min(_PAUSE_MAX, pause * 2)
        finally:
            call = self._record(completion, began, verdict)
        return call

    async def _try(self, completion: Completion, *, lost: bool) -> tuple[Verdict, float]:
        headers = {} if completion.key is None else {"Idempotency-Key": completion.key}
        try:
            answer = await self._ask("/actions/complete", completion.body, headers)
        except NotNowError as error:
            return Verdict(Outcome.UNKNOWN, reason=error.reason, final=False), error.retry_after
        return judge(answer, lost=lost), answer.retry_after

    async def _ask(self, path: str, body: object, headers: dict[str, str] | None = None) -> Answer:
        token = await self.account.token()
        answer = await self.gateway.post(path, body, {"Authorization": f"Bearer {token}", **(headers or {})})
        if answer.status == _UNAUTHORIZED:
            self.account.reject(token)
        return answer

    def _record(self, completion: Completion, began: float, verdict: Verdict) -> AwardCall:
        call = AwardCall(
            caller=self.account.username,
            asked=award_of(completion.token),
            began=began,
            ended=time.monotonic(),
            outcome=verdict.outcome,
            result=verdict.result,
            reason=verdict.reason,
        )
        self.history.add(call)
        return call
