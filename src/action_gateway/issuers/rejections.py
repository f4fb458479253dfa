"""What is wrong with tickets that name an outside issuer: counted by issuer and reason, and told in the log.

Clients learn a stable code and no more. Nothing here holds a token, or a text of one that is not registered.
"""

import time
from collections.abc import Callable
from enum import StrEnum, auto
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter

from service_runtime.telemetry.throttle import Throttle

EVENTS_A_SECOND: Final = 5
"""Of each reason."""

_log = structlog.get_logger(__name__)


class Reason(StrEnum):
    """Why a ticket is rejected."""

    UNKNOWN_ISSUER = auto()
    UNKNOWN_KEY = auto()
    BAD_HEADER = auto()
    """Another kind of token, another algorithm, or no key id."""
    BAD_SIGNATURE = auto()
    """Of another key than the one that is named, or of other content."""
    BAD_CLAIMS = auto()
    """A claim is missing, or is not of the form that is documented."""
    TICKET_ID = auto()
    """`jti` is empty, too long, or has other characters than it may."""
    BOARD = auto()
    """The issuer may not give points there."""
    POINTS = auto()
    """Less than one, or more than the issuer may give by one ticket."""
    LIFETIME = auto()
    """Longer than the issuer may make tickets good."""
    NOT_YET = auto()
    """From further in the future than clocks may differ."""
    USER_ID = auto()
    """The contract allows no such user id."""
    UNKNOWN_USER = auto()
    """No account of this gateway, or one that is gone."""
    REDEEMS_PER_MINUTE = auto()
    POINTS_PER_MINUTE = auto()
    SCORE_SERVICE_DENIED = auto()
    """The policy of the score service does not allow this gateway the board, or so many points."""


FORGED: Final = frozenset({Reason.UNKNOWN_ISSUER, Reason.BAD_SIGNATURE})
"""What looks like forgery. What a registered issuer has signed and may not give is a mistake of the issuer,
and makes nobody suspect."""

UNKNOWN: Final = "unknown"
"""Stands for every issuer that is not registered."""


class RejectedError(Exception):
    """A ticket is not taken."""

    def __init__(self, reason: Reason) -> None:
        """Take why."""
        super().__init__(reason.value)
        self.reason = reason


class Rejections:
    """Counts rejections and tells of them."""

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic) -> None:
        """Take seconds that never step back."""
        self._counted = Counter(
            "gateway_tickets_rejected",
            "Tickets rejected that name another issuer than this gateway, by its name and the reason.",
            ["issuer", "reason"],
            registry=registry,
        )
        self._events = {reason: Throttle(EVENTS_A_SECOND, clock) for reason in Reason}

    def note(self, issuer_name: str, reason: Reason) -> None:
        """Count a rejection, and tell of it unless there are too many."""
        self._counted.labels(issuer_name, reason).inc()
        if (left_out := self._events[reason].let_through()) is not None:
            _log.warning("ticket_rejected", issuer=issuer_name, reason=reason.value, left_out=left_out)
