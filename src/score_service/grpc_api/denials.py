"""Who was denied what: counted by identity, and logged.

What is denied stands in `policy.py` and `quota.py`; this only reads the errors that come of it, of whole
calls and of single awards in a batch. Everything is counted. Events are bounded, so that nobody can fill the
disk with them. `caller` in them is well formed and of bounded length, or it would not have been read.

Who fails the handshake is not seen here: gRPC ends it by itself and tells a Python server nothing of it. Only
gRPC's own log does, on standard error, with `GRPC_VERBOSITY=INFO`.
"""

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter

from score_service.access.policy import Policy
from score_service.errors import (
    CertificateExpiredError,
    IdentityMissingError,
    NotAllowedError,
    QuotaExceededError,
)
from score_service.grpc_api.status import TABLE
from score_service.metrics import CALL_FIELDS
from service_runtime.telemetry.throttle import Throttle

EVENTS_A_SECOND: Final = 5
"""For each reason."""
UNKNOWN: Final = "unknown"
"""Stands for all identities that the policy does not name, and for none."""
_REASONS: Final[Mapping[type[object], str]] = {
    kind: TABLE[kind].reason
    for kind in (IdentityMissingError, CertificateExpiredError, NotAllowedError, QuotaExceededError)
}

_log = structlog.get_logger(__name__)


class Denials:
    """Counts and logs denials."""

    def __init__(
        self, policy: Policy, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take seconds that never step back."""
        self._policy = policy
        self._denied = Counter(
            "laurel_denied",
            "Calls, and awards in batches, that were denied, by the caller's identity as the policy names it "
            "(else unknown) and the reason. Callers whose handshake fails are not seen.",
            ["identity", "reason"],
            registry=registry,
        )
        for labels in _possible(policy):
            self._denied.labels(*labels)
        self._events = {reason: Throttle(EVENTS_A_SECOND, clock) for reason in _REASONS.values()}

    def note(self, outcomes: Iterable[object], find_peer: Callable[[], str]) -> None:
        """Count and log what of the outcomes of the call at hand is a denial.

        Args:
            outcomes: Errors, and whatever else became of the awards of a batch.
            find_peer: Returns the address of the caller.
        """
        denied = Tally(_REASONS[type(outcome)] for outcome in outcomes if type(outcome) in _REASONS)
        for reason, count in denied.items():
            caller = CALL_FIELDS.get().get("caller", "")
            identity = caller if self._policy.names(caller) else UNKNOWN
            self._denied.labels(identity, reason).inc(count)
            if (left_out := self._events[reason].let_through()) is not None:
                # The caller and the method are in every line of a call.
                _log.warning("denied", reason=reason, count=count, peer=find_peer(), left_out=left_out)


def _possible(policy: Policy) -> Iterator[tuple[str, str]]:
    """Make the label sets that there can be, so that rates start from zero."""
    missing, expired, not_allowed, exceeded = _REASONS.values()
    yield UNKNOWN, missing
    for identity in (UNKNOWN, *policy.identities):
        yield identity, expired
        yield identity, not_allowed
    for identity in policy.identities:
        yield identity, exceeded
