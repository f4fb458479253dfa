"""Where a scripted server takes awards: alone or in a batch, each once, as a script says."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import grpc

from conformance.server.scripted import Context, ScriptedServer, reject
from score_api.v1 import score_service_pb2 as scores


@dataclass(frozen=True)
class Rejection:
    """An answer that is an error: as the status of a call, or for one award of a batch."""

    code: grpc.StatusCode
    reason: str = ""
    retry_after: float | None = None
    fields: dict[str, str] = field(default_factory=dict)
    domain: str = "laurel"

    async def end(self, context: Context) -> None:
        """End a call with it."""
        step = reject(
            self.code, self.reason, domain=self.domain, retry_after=self.retry_after, fields=self.fields
        )
        await step(None, context)

    def in_batch(self) -> scores.AwardError:
        """Return it for one award."""
        written = scores.AwardError(code=self.code.value[0], reason=self.reason, message="As scripted.")
        if self.retry_after is not None:
            written.retry_after_seconds = self.retry_after
        written.fields.update(self.fields)
        return written


MAKE = "make"
"""Make the award, and answer."""
LOSE = "lose"
"""Make the award, and lose the answer."""
HANG = "hang"
"""Make the award, and never answer."""
LOST = Rejection(grpc.StatusCode.UNAVAILABLE)

Turn = str | Rejection


@dataclass(frozen=True)
class Attempt:
    """An award that was asked for, once."""

    request: scores.AwardPointsRequest
    at: float
    """In the time of the loop."""

    @property
    def ids(self) -> tuple[str, str]:
        """Its two ids."""
        return self.request.award.award_id, self.request.request_id


class Desk:
    """Takes the awards of a server. The attempts for a user take turns; the last one is for all after it."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.made: dict[str, tuple[str, scores.AwardResult]] = {}
        """The request id and the result of each award that was made, by its id."""
        self.first_result = scores.AwardResult(rank=1)
        """What results have beside what follows from the award."""
        self._turns: dict[str, list[Turn]] = defaultdict(lambda: [MAKE])

    def script(self, *turns: Turn, user_id: str = "ada") -> None:
        """Set the answers to the next attempts for a user."""
        self._turns[user_id] = list(turns)

    def attempts_for(self, user_id: str) -> list[Attempt]:
        """Return the attempts for a user so far."""
        return [attempt for attempt in self.attempts if attempt.request.award.user_id == user_id]

    def open(self, server: ScriptedServer) -> None:
        """Take the awards of this server."""
        server.script("AwardPoints", self._answer)
        server.script("BatchAwardPoints", self._answer_batch)

    async def _answer(self, request: Any, context: Context) -> scores.AwardPointsResponse:
        outcome = self._take(request)
        if isinstance(outcome, scores.AwardResult):
            return scores.AwardPointsResponse(result=outcome)
        await _end(outcome, context)
        raise AssertionError

    async def _answer_batch(self, request: Any, context: Context) -> scores.BatchAwardPointsResponse:
        outcomes = [self._take(one) for one in request.requests]
        items = []
        for outcome in outcomes:
            if isinstance(outcome, scores.AwardResult):
                items.append(scores.BatchAwardPointsItem(result=outcome))
            elif isinstance(outcome, Rejection):
                items.append(scores.BatchAwardPointsItem(error=outcome.in_batch()))
            else:
                await _end(outcome, context)
        return scores.BatchAwardPointsResponse(items=items)

    def _take(self, request: scores.AwardPointsRequest) -> scores.AwardResult | Turn:
        self.attempts.append(Attempt(request, asyncio.get_running_loop().time()))
        turns = self._turns[request.award.user_id]
        turn = turns.pop(0) if len(turns) > 1 else turns[0]
        if isinstance(turn, Rejection):
            return turn
        result = self._make(request)
        return result if turn == MAKE else turn

    def _make(self, request: scores.AwardPointsRequest) -> scores.AwardResult:
        award = request.award
        number = len(self.made) + 1
        result = scores.AwardResult(
            award_id=award.award_id,
            revision=number,
            position=f"{number}-aa",
            points=award.points,
            total=award.points,
        )
        result.MergeFrom(self.first_result)
        maker, first = self.made.setdefault(award.award_id, (request.request_id, result))
        told = scores.AwardResult()
        told.CopyFrom(first)
        told.replayed = not maker or maker != request.request_id
        return told


async def _end(turn: Turn, context: Context) -> None:
    if turn == HANG:
        await asyncio.Event().wait()
    await (turn if isinstance(turn, Rejection) else LOST).end(context)
