"""The servicer of `ScoreService`: read the request, look at what the caller may do, call the core, answer.

The order is the same in every service: a request that is not as described is rejected as such to anyone whom
the policy lets call the method; then the board is looked at, then the amount, then the quota, then the time
at which it happened. Only where there is no room for any award, nothing of one is looked at.
"""
# ruff: noqa: ARG002, N802 - The contract names the methods and their arguments.

import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from score_api.v1 import score_service_pb2 as score_pb
from score_api.v1 import score_service_pb2_grpc as score_grpc
from score_service.access.caller import CALLER, require_board
from score_service.access.quota import Quota
from score_service.boards.awards.scoring import Scoring
from score_service.domain.ledger.award import Award, AwardOutcome
from score_service.errors import (
    AwardNotFoundError,
    NotAllowedError,
    OccurredAtOutOfRangeError,
    QuotaExceededError,
    ScoreServiceError,
)
from score_service.grpc_api.calls import ServicerContext
from score_service.grpc_api.denials import Denials
from score_service.grpc_api.score_service import messages
from score_service.grpc_api.status import to_award_error


class ScoreServicer(score_grpc.ScoreServiceServicer):
    """Writes the record."""

    def __init__(
        self,
        scoring: Scoring,
        quota: Quota,
        on_item_error: Callable[[str], None],
        denials: Denials,
        new_request_id: Callable[[], str] = lambda: str(uuid.uuid4()),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take what is called with the reason why an award of a batch failed: its call will be OK."""
        self._scoring = scoring
        self._quota = quota
        self._on_item_error = on_item_error
        self._denials = denials
        self._new_request_id = new_request_id
        self._now = now

    async def AwardPoints(
        self, request: score_pb.AwardPointsRequest, context: object
    ) -> score_pb.AwardPointsResponse:
        """Make an award, or return its first result."""
        self._scoring.require_room()
        award = self._read(request)
        self._quota.take(CALLER.get().grant, award.points)
        checked = await self._check_time(award, award.occurred_at) if award.occurred_at else award
        outcome = checked if isinstance(checked, AwardOutcome) else await self._scoring.award(checked)
        return score_pb.AwardPointsResponse(result=messages.write_result(outcome))

    async def BatchAwardPoints(
        self, request: score_pb.BatchAwardPointsRequest, context: ServicerContext
    ) -> score_pb.BatchAwardPointsResponse:
        """Make many awards, or return their first results. One that fails fails alone."""
        self._scoring.require_room()
        admitted = self._admit([self._try_read(asked) for asked in messages.read_batch(request)])
        if not all(isinstance(award, Award) for award in admitted):
            self._denials.note(admitted, context.peer)
        checked = [
            await self._try_check_time(award, award.occurred_at)
            if isinstance(award, Award) and award.occurred_at
            else award
            for award in admitted
        ]
        outcomes = iter(
            await self._scoring.award_all([award for award in checked if isinstance(award, Award)])
        )
        results = (next(outcomes) if isinstance(award, Award) else award for award in checked)
        return score_pb.BatchAwardPointsResponse(items=map(self._write_item, results))

    def _read(self, request: score_pb.AwardPointsRequest) -> Award:
        """Read an award, if the caller may make it."""
        caller = CALLER.get()
        award = messages.read_award(request, caller.grant.spiffe_id, caller.trace_id, self._new_request_id)
        require_board(award.board_id)
        if award.points > caller.grant.max_points:
            raise NotAllowedError
        return award

    def _try_read(self, request: score_pb.AwardPointsRequest) -> Award | ScoreServiceError:
        try:
            return self._read(request)
        except ScoreServiceError as error:
            return error

    def _admit(self, asked: list[Award | ScoreServiceError]) -> list[Award | ScoreServiceError]:
        """Count the awards against the quota: together, or one by one where it has no room for them all."""
        grant = CALLER.get().grant
        points = [award.points for award in asked if isinstance(award, Award)]
        try:
            self._quota.take(grant, sum(points), len(points))
        except QuotaExceededError:
            return [self._try_take(award) if isinstance(award, Award) else award for award in asked]
        return asked

    def _try_take(self, award: Award) -> Award | ScoreServiceError:
        try:
            self._quota.take(CALLER.get().grant, award.points)
        except QuotaExceededError as error:
            return error
        return award

    async def _check_time(self, award: Award, occurred_at: datetime) -> Award | AwardOutcome:
        """Let an award through unless it happened when the caller may not say.

        Returns:
            The first result of an award that was made in time: its retry may come later than that.
        """
        fault = CALLER.get().grant.find_time_fault(occurred_at, self._now())
        if fault is None:
            return award
        try:
            return await self._scoring.find_outcome(award)
        except AwardNotFoundError:
            raise OccurredAtOutOfRangeError({"award.occurred_at": fault}) from None

    async def _try_check_time(
        self, award: Award, occurred_at: datetime
    ) -> Award | AwardOutcome | ScoreServiceError:
        try:
            return await self._check_time(award, occurred_at)
        except ScoreServiceError as error:
            return error

    def _write_item(self, outcome: AwardOutcome | Exception) -> score_pb.BatchAwardPointsItem:
        if not isinstance(outcome, Exception):
            return score_pb.BatchAwardPointsItem(result=messages.write_result(outcome))
        error = to_award_error(outcome)
        self._on_item_error(error.reason)
        return score_pb.BatchAwardPointsItem(error=error)

    async def GetAward(self, request: score_pb.GetAwardRequest, context: object) -> score_pb.GetAwardResponse:
        """Return the first result of an award."""
        board_id, award_id = messages.read_award_name(request)
        require_board(board_id)
        outcome = await self._scoring.get_award(board_id, award_id)
        return score_pb.GetAwardResponse(result=messages.write_result(outcome))
