"""Payments for actions: awards of the score service, whose ledger alone knows who was paid."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from action_gateway.domain.payment import Due, EarlierPayment, Payment
from action_gateway.errors import translate_denial
from action_gateway.request_context import find_trace_id
from score_client.client import ScoreClient
from score_client.errors import (
    AwardArchivedError,
    AwardConflictError,
    HistoryArchivedError,
    NotFoundError,
    ScoreClientError,
)
from score_client.types import AwardResult

_GET: Final = "score_api.v1.ScoreService/GetAward"
_MAKE: Final = "score_api.v1.ScoreService/AwardPoints"


class Payments:
    """Makes and finds payments. A failure of the score service is raised as the GatewayError it means.

    What its policy does not allow this gateway is a ScoreServiceDeniedError: a mistake of configuration.
    """

    def __init__(self, score_client: ScoreClient) -> None:
        self._score_client = score_client

    async def find(self, board_id: str, award_id: uuid.UUID) -> EarlierPayment | None:
        """Return a payment, if it was made."""
        async with _translated(_GET):
            try:
                return await self._get(board_id, award_id)
            except NotFoundError:
                return None

    async def make(self, due: Due, request_id: uuid.UUID) -> Payment | EarlierPayment:
        """Pay what is due unless another request has; return the payment."""
        async with _translated(_MAKE):
            try:
                result = await self._score_client.award(
                    board_id=due.board_id,
                    user_id=due.user_id,
                    points=due.points,
                    action_type=due.action_type,
                    action_id=due.action_id,
                    award_id=due.award_id,
                    request_id=request_id,
                    trace_id=find_trace_id(),
                )
            except AwardConflictError:
                # It was paid before it was edited, with other points.
                return await self._get(due.board_id, due.award_id)
            except AwardArchivedError:
                return EarlierPayment(None)
            payment = _payment(result)
            return EarlierPayment(payment) if result.replayed else payment

    async def _get(self, board_id: str, award_id: uuid.UUID) -> EarlierPayment:
        try:
            return EarlierPayment(
                _payment(await self._score_client.get_award(board_id=board_id, award_id=award_id))
            )
        except HistoryArchivedError:
            return EarlierPayment(None)


@asynccontextmanager
async def _translated(method: str) -> AsyncIterator[None]:
    try:
        yield
    except ScoreClientError as error:
        raise translate_denial(error, method) from error


def _payment(result: AwardResult) -> Payment:
    return Payment(points=result.points, total=result.total, rank=result.rank)
