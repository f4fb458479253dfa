"""The typed asyncio client of the Laurel score service.

    credentials = ClientCredentials("ca.pem", "backend.pem", "backend-key.pem")
    async with ScoreClient("dns:///localhost:50051", credentials=credentials) as client:
        result = await client.award(
            board_id="main", user_id="ada", points=10, action_type="puzzle", action_id="puzzle_123"
        )
        async for event in client.watch(board_id="main"):
            ...

Awards take effect exactly once, whatever is lost on the way; every failure is a `ScoreClientError`.
"""

from score_client.client import ScoreClient
from score_client.credentials import CertificateStatus, ClientCredentials
from score_client.errors import (
    AwardConflictError,
    AwardNotFoundError,
    BoardNotFoundError,
    ClientClosedError,
    CredentialsError,
    InvalidRequestError,
    NotAllowedError,
    NotAuthenticatedError,
    NotFoundError,
    OccurredAtOutOfRangeError,
    PeriodClosedError,
    PeriodOpenError,
    PeriodUnknownError,
    QuotaExceededError,
    ScoreClientError,
    ServiceFaultError,
    StandingNotFoundError,
    TotalOutOfRangeError,
    UnavailableError,
)
from score_client.types import (
    AwardResult,
    BoardsView,
    BoardView,
    Checkpoint,
    LatePolicy,
    Period,
    PeriodKind,
    PeriodResult,
    PeriodState,
    PeriodsView,
    Season,
    Snapshot,
    Source,
    Standing,
    StandingsView,
    StandingView,
    Update,
    WatchEvent,
)

__all__ = [
    "AwardConflictError",
    "AwardNotFoundError",
    "AwardResult",
    "BoardNotFoundError",
    "BoardView",
    "BoardsView",
    "CertificateStatus",
    "Checkpoint",
    "ClientClosedError",
    "ClientCredentials",
    "CredentialsError",
    "InvalidRequestError",
    "LatePolicy",
    "NotAllowedError",
    "NotAuthenticatedError",
    "NotFoundError",
    "OccurredAtOutOfRangeError",
    "Period",
    "PeriodClosedError",
    "PeriodKind",
    "PeriodOpenError",
    "PeriodResult",
    "PeriodState",
    "PeriodUnknownError",
    "PeriodsView",
    "QuotaExceededError",
    "ScoreClient",
    "ScoreClientError",
    "Season",
    "ServiceFaultError",
    "Snapshot",
    "Source",
    "Standing",
    "StandingNotFoundError",
    "StandingView",
    "StandingsView",
    "TotalOutOfRangeError",
    "UnavailableError",
    "Update",
    "WatchEvent",
]
