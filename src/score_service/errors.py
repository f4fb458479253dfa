"""The exceptions of the score service. What each one becomes on the wire stands in `status.py` alone.

    ScoreServiceError
    ├── FaultyFieldsError           something is wrong with fields of the request
    │   ├── InvalidRequestError         they are not as described
    │   ├── OccurredAtOutOfRangeError   an award happened in the future, or too long ago
    │   ├── TimeZoneUnknownError        a board cannot count by this time zone
    │   ├── SeasonsOverlapError         two seasons overlap, or one is empty
    │   └── PeriodOpenError             settings would alter a period that is open
    ├── IdentityMissingError        the caller shows no single identity
    ├── CertificateExpiredError     the caller's certificate has expired
    ├── NotAllowedError             the policy does not let the caller do this
    ├── QuotaExceededError          the caller has used up its quota
    ├── OverloadedError             more calls wait than this process takes in
    ├── AwardConflictError          the award id was used with another payload
    ├── AwardArchivedError          the award was made, and is archived
    ├── AwardReversedError          another reversal of the award stands, or the id is one of another award
    ├── PlanStaleError              a plan does not hold any more
    ├── PositionUnknownError        a position is not of this ledger
    ├── HistoryArchivedError        what is asked for was before the cut
    ├── TotalOutOfRangeError        the total would not be exact any more
    ├── PeriodClosedError           the award is too late for a board that refuses such awards
    ├── BoardNotFoundError
    ├── AwardNotFoundError
    ├── StandingNotFoundError
    ├── PeriodUnknownError          the board has no such period, or it has not begun
    ├── RecordUnavailableError      PostgreSQL is unavailable; the outcome of a write is unknown
    ├── ProjectionUnavailableError  Redis is unavailable or behind
    ├── WatcherEvictedError         a watcher too slow, or one too many
    ├── ConnectionAgedError         a stream on a connection that is to be closed
    └── ShuttingDownError           this process is stopping

The docstring of a class is its public text. Nothing that a caller must not see may go into a message.
"""

from collections.abc import Mapping


class ScoreServiceError(Exception):
    """The request failed."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class FaultyFieldsError(ScoreServiceError):
    """Something is wrong with fields of the request."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        """Take a description of what is wrong for each faulty field, by its path in the request."""
        super().__init__("; ".join(f"{field}: {fault}" for field, fault in fields.items()))
        self.fields = dict(fields)


class InvalidRequestError(FaultyFieldsError):
    """The request is not as described."""


class OccurredAtOutOfRangeError(FaultyFieldsError):
    """The time is in the future, or longer ago than the policy allows the caller."""


class TimeZoneUnknownError(FaultyFieldsError):
    """The time zone is none of the pinned zone data, or one that is rejected."""


class SeasonsOverlapError(FaultyFieldsError):
    """Two seasons overlap, or one is empty."""


class PeriodOpenError(FaultyFieldsError):
    """The settings would alter a period that is open."""


class IdentityMissingError(ScoreServiceError):
    """The client certificate must carry exactly one SPIFFE URI."""


class CertificateExpiredError(ScoreServiceError):
    """The client certificate, or an intermediate that signed it, has expired."""


class NotAllowedError(ScoreServiceError):
    """The caller is not allowed to do this."""


class QuotaExceededError(ScoreServiceError):
    """The caller's quota is used up."""

    def __init__(self, retry_after: float) -> None:
        """Take the seconds after which the quota has room again."""
        super().__init__()
        self.retry_after = retry_after


class OverloadedError(ScoreServiceError):
    """Too many calls wait. Nothing was done; try again."""


class AwardConflictError(ScoreServiceError):
    """The award id was used before with another user, action or points."""


class AwardArchivedError(ScoreServiceError):
    """The award was made, and is archived: its first result is not to be had any more."""

    def __init__(self, revision: int) -> None:
        """Take the revision of the award."""
        super().__init__()
        self.revision = revision


class AwardReversedError(ScoreServiceError):
    """Another reversal of this award stands, or the reversal id was used for another award."""

    def __init__(self, reversal: object = None) -> None:
        """Take the `domain.reversal.Reversal` that stands, which this module may not know."""
        super().__init__()
        self.reversal = reversal


class PlanStaleError(ScoreServiceError):
    """The plan is not of this filter, or settings or history of the board are others by now. Plan again."""


class PositionUnknownError(ScoreServiceError):
    """The position is not of this ledger."""


class HistoryArchivedError(ScoreServiceError):
    """What is asked for is archived, and the record does not have it any more."""

    def __init__(self, position: object) -> None:
        """Take the position after which the record has all, a `Position`: this module knows no others."""
        super().__init__()
        self.position = position


class TotalOutOfRangeError(ScoreServiceError):
    """The user's total would pass 2^53-1."""


class PeriodClosedError(ScoreServiceError):
    """A period that the award belongs to is closed, and the board refuses late awards."""


class BoardNotFoundError(ScoreServiceError):
    """No award was ever made on this board."""


class AwardNotFoundError(ScoreServiceError):
    """The board has no award with this id."""


class StandingNotFoundError(ScoreServiceError):
    """The user has no award on this board."""


class PeriodUnknownError(ScoreServiceError):
    """The board has no such period, or it has not begun."""


class RecordUnavailableError(ScoreServiceError):
    """The record is unavailable. Whether an award was made is unknown; send it again with the same ids."""


class ProjectionUnavailableError(ScoreServiceError):
    """The ranks are unavailable or behind the asked revision."""


class WatcherEvictedError(ScoreServiceError):
    """The watcher reads too slowly, or there are too many."""


class ConnectionAgedError(ScoreServiceError):
    """The connection has reached its age; open the stream again on a new one."""


class ShuttingDownError(ScoreServiceError):
    """This server is stopping; another one will answer."""
