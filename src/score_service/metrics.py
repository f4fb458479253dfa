"""The metrics of the score service, and what its log lines say of the call at hand.

The gRPC metrics have the names and labels of go-grpc-prometheus, so that its dashboards work. No label ever
carries a board, a user or an award.
"""

from collections.abc import Iterable, Mapping, MutableMapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from score_api.v1.error_reason_pb2 import ErrorReason
from score_service.domain.award import AwardOutcome
from score_service.periods.zone_data import PINNED
from service_runtime.metrics import ServiceMetrics
from service_runtime.tracing import current_span, ids_of

GRPC_CODES: Final = {
    "OK": "OK",
    "CANCELLED": "Canceled",
    "UNKNOWN": "Unknown",
    "INVALID_ARGUMENT": "InvalidArgument",
    "DEADLINE_EXCEEDED": "DeadlineExceeded",
    "NOT_FOUND": "NotFound",
    "ALREADY_EXISTS": "AlreadyExists",
    "PERMISSION_DENIED": "PermissionDenied",
    "RESOURCE_EXHAUSTED": "ResourceExhausted",
    "FAILED_PRECONDITION": "FailedPrecondition",
    "ABORTED": "Aborted",
    "OUT_OF_RANGE": "OutOfRange",
    "UNIMPLEMENTED": "Unimplemented",
    "INTERNAL": "Internal",
    "UNAVAILABLE": "Unavailable",
    "DATA_LOSS": "DataLoss",
    "UNAUTHENTICATED": "Unauthenticated",
}
CALL_FIELDS: Final[ContextVar[Mapping[str, str]]] = ContextVar("call_fields", default=MappingProxyType({}))
"""What every log line of the call at hand says."""
_CALL_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


def add_call_fields(_logger: object, _level: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Add what the call at hand says of itself, and the ids of the span that the line belongs to."""
    # A line that names the trace of an award is not about the span that it is written in.
    ids = {} if "trace_id" in event else ids_of(current_span())
    return {**CALL_FIELDS.get(), **ids, **event}


class Metrics(ServiceMetrics):
    """The metric objects, in a registry of their own."""

    def __init__(self) -> None:
        super().__init__("laurel_", "service")
        self.calls = CallMetrics(self.registry)
        self.awards = self.counter("laurel_awards", "Awards made.")
        self.points = self.counter("laurel_awarded_points", "Points of the awards made.")
        self.replays = self.counter("laurel_award_replays", "Awards asked for again by another request.")
        self.rejected = Counter(
            "laurel_rejected", "Calls that got no result, by reason.", ["reason"], registry=self.registry
        )
        self._item_errors = Counter(
            "laurel_batch_item_errors",
            "Awards of batches that got an error while their call was OK, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self.evicted = self.counter(
            "laurel_watchers_evicted", "Watches ended because a message was left untaken for too long."
        )
        zone_data = Gauge(
            "laurel_zone_data_info",
            "1, with the version of the time zone data that periods are worked out from.",
            ["version"],
            registry=self.registry,
        )
        zone_data.labels(PINNED.version).set(1)
        for reason in REASONS:
            self.rejected.labels(reason)
            self._item_errors.labels(reason)

    def count_awards(self, outcomes: Iterable[AwardOutcome]) -> None:
        """Count each award once, when it is made, and each time that another request asks for it again.

        An award whose commit had to be sent again, because its answer was lost, is found and not counted.
        """
        points, awards, replays = 0, 0, 0
        for outcome in outcomes:
            if outcome.is_new:
                awards += 1
                points += outcome.recorded.points
            elif outcome.replayed:
                replays += 1
        self.awards.inc(awards)
        self.points.inc(points)
        self.replays.inc(replays)

    def count_item_error(self, reason: str) -> None:
        """Count an award of a batch that got an error."""
        self._item_errors.labels(reason).inc()


REASONS: Final = tuple(name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()[1:])


class CallMetrics:
    """The server metrics of go-grpc-prometheus."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("grpc_type", "grpc_service", "grpc_method")
        self.started = Counter(
            "grpc_server_started", "RPCs started on the server.", labels, registry=registry
        )
        self.handled = Counter(
            "grpc_server_handled",
            "RPCs completed on the server, whatever their outcome.",
            (*labels, "grpc_code"),
            registry=registry,
        )
        self.received = Counter(
            "grpc_server_msg_received", "Messages received on the server.", labels, registry=registry
        )
        self.sent = Counter("grpc_server_msg_sent", "Messages sent by the server.", labels, registry=registry)
        self.seconds = Histogram(
            "grpc_server_handling_seconds",
            "Seconds from the start of an RPC to its end.",
            labels,
            buckets=_CALL_SECONDS,
            registry=registry,
        )

    def of(self, kind: str, service: str, method: str) -> "MethodMetrics":
        """Make the label sets of one method, so that they can be seen before its first call."""
        return MethodMetrics(self, (kind, service, method))


class MethodMetrics:
    """The metrics of one method."""

    def __init__(self, calls: CallMetrics, labels: Iterable[str]) -> None:
        labels = tuple(labels)
        self.started = calls.started.labels(*labels)
        self.received = calls.received.labels(*labels)
        self.sent = calls.sent.labels(*labels)
        self.seconds = calls.seconds.labels(*labels)
        self.handled = {code: calls.handled.labels(*labels, said) for code, said in GRPC_CODES.items()}
