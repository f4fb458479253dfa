"""One backend: it asks the score service for awards, and keeps a record of its requests and their answers."""

import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from faults.backends.memory import Remembered
from faults.model.history import Asked, AwardCall, History, Outcome, Result
from score_client import (
    AwardArchivedError,
    AwardConflictError,
    AwardNotFoundError,
    AwardResult,
    HistoryArchivedError,
    InvalidRequestError,
    NotAllowedError,
    NotAuthenticatedError,
    QuotaExceededError,
    ScoreClient,
    ServiceFaultError,
    TotalOutOfRangeError,
    UnavailableError,
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

REJECTIONS: Final = (
    AwardConflictError,
    InvalidRequestError,
    NotAllowedError,
    NotAuthenticatedError,
    QuotaExceededError,
    TotalOutOfRangeError,
)
"""What says that the call makes nothing, now or later."""
NO_ANSWER: Final = (UnavailableError, ServiceFaultError, NotAuthenticatedError)
"""What says nothing of what was asked for: no outcome is known, or the certificate has expired."""


class _Start(NamedTuple):
    """When a call began, and the end of the certificate in use then."""

    at: float
    time: datetime
    """The same by the wall clock."""
    not_after: datetime


@dataclass(frozen=True, slots=True)
class Backend:
    """One backend."""

    name: str
    client: ScoreClient
    history: History = field(repr=False)

    async def award(self, asked: Asked, timeout: float | None = None) -> AwardCall:  # noqa: ASYNC109 - the client's
        """Ask for an award, once, and record how that ended, also if the caller leaves."""
        start = self._start()
        outcome, result, revision, reason = Outcome.UNKNOWN, None, None, "left"
        try:
            result = result_of(await self._send(asked, timeout))
            outcome, reason = Outcome.MADE, ""
        except AwardArchivedError as error:
            outcome, revision, reason = Outcome.ARCHIVED, error.revision, error.reason
        except REJECTIONS as error:
            outcome, reason = Outcome.REJECTED, error.reason
        except NO_ANSWER as error:
            reason = error.reason
        finally:
            call = self._record(asked, start, outcome, result, reason, revision)
        return call

    async def look_up(self, remembered: Remembered) -> None:
        """Ask what became of an award. That it is not there says nothing: it may be on its way.

        The answer does not tell of whom it is, so nothing is recorded where the id may be another one's.
        """
        asked, start = remembered.asked._replace(request_id=None), self._start()
        with suppress(AwardNotFoundError, *NO_ANSWER):
            try:
                result = await self.client.get_award(
                    board_id=asked.board_id, award_id=uuid.UUID(asked.award_id)
                )
            except HistoryArchivedError as error:
                self._record(asked, start, Outcome.ARCHIVED, None, error.reason)
                return
            if remembered.contested:  # Maybe since it was asked.
                return
            self._record(asked, start, Outcome.MADE, result_of(result), "")

    async def _send(self, asked: Asked, timeout: float | None) -> AwardResult:  # noqa: ASYNC109 - the same
        return await self.client.award(
            board_id=asked.board_id,
            user_id=asked.user_id,
            points=asked.points,
            action_type=asked.action_type,
            action_id=asked.action_id,
            award_id=uuid.UUID(asked.award_id),
            request_id=uuid.UUID(asked.request_id),
            occurred_at=None if asked.occurred_at is None else _EPOCH + asked.occurred_at * _MICROSECOND,
            timeout=timeout,
        )

    def _start(self) -> _Start:
        return _Start(time.monotonic(), datetime.now(UTC), self.client.certificate_status().not_after)

    def _record(
        self,
        asked: Asked,
        start: _Start,
        outcome: Outcome,
        result: Result | None,
        reason: str,
        revision: int | None = None,
    ) -> AwardCall:
        # The certificate may have been renewed meanwhile.
        not_after = max(start.not_after, self.client.certificate_status().not_after)
        expired = (start.time - not_after).total_seconds()
        call = AwardCall(
            caller=self.name,
            asked=asked,
            began=start.at,
            ended=time.monotonic(),
            outcome=outcome,
            result=result,
            revision=revision,
            reason=reason,
            expired_for=expired if expired > 0 else None,
        )
        self.history.add(call)
        return call


def result_of(result: AwardResult) -> Result:
    """Return what a result says of the award."""
    return Result(
        points=result.points,
        total=result.total,
        rank=result.rank,
        revision=result.revision,
        position=result.position,
        replayed=result.replayed,
        reversed=result.reversed,
    )
