"""Payments for actions: awards of the score service, whose ledger alone knows who was paid."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from action_gateway.domain.action import StartedAction, find_award_id
from action_gateway.domain.payment import Payment
from action_gateway.errors import translate
from action_gateway.request_context import find_trace_id
from score_client.client import ScoreClient
from score_client.errors import AwardConflictError, NotFoundError, ScoreClientError
from score_client.types import AwardResult

_ACTION_TYPE: Final = "puzzle"


class Payments:
    """Makes and finds payments. A failure of the score service is raised as the GatewayError it means."""

    def __init__(self, score_client: ScoreClient) -> None:
        self._score_client = score_client

    async def find(self, started: StartedAction) -> Payment | None:
        """Return the payment for an action, if it was made."""
        async with _translated():
            try:
                return _payment(await self._get_award(started))
            except NotFoundError:
                return None

    async def make(self, started: StartedAction, request_id: uuid.UUID) -> tuple[Payment, bool]:
        """Pay for an action unless it was paid; return the payment, and whether this request has made it."""
        async with _translated():
            try:
                result = await self._score_client.award(
                    board_id=started.board_id,
                    user_id=started.user_id,
                    points=started.points,
                    action_type=_ACTION_TYPE,
                    action_id=started.action_id,
                    award_id=find_award_id(started),
                    request_id=request_id,
                    trace_id=find_trace_id(),
                )
            except AwardConflictError:
                # It was paid before it was edited, with other points.
                return _payment(await self._get_award(started)), False
            return _payment(result), not result.replayed

    async def _get_award(self, started: StartedAction) -> AwardResult:
        return await self._score_client.get_award(board_id=started.board_id, award_id=find_award_id(started))


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except ScoreClientError as error:
        raise translate(error) from error


def _payment(result: AwardResult) -> Payment:
    return Payment(points=result.points, total=result.total, rank=result.rank)
