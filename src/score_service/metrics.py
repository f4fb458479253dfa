"""The metrics of the score service, and what its log lines say of the call at hand.

The gRPC metrics have the names and labels of go-grpc-prometheus, so that its dashboards work. No label ever
carries a board, a user or an award.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextvars import ContextVar
from itertools import accumulate
from types import MappingProxyType
from typing import Any, Final

from prometheus_client import Counter, Gauge
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from score_api.v1.error_reason_pb2 import ErrorReason
from score_service.domain.ledger.award import AwardOutcome
from score_service.domain.ledger.correction import CorrectionKind
from score_service.periods.zone_data import PINNED
from service_runtime.telemetry.metrics import ServiceMetrics
from service_runtime.telemetry.tracing import current_span, ids_of

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
_UPPER_BOUNDS: Final = (*(str(float(seconds)) for seconds in _CALL_SECONDS), "+Inf")


def add_call_fields(_logger: object, _level: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Add what the call at hand says of itself, and the ids of the span that the line belongs to."""
    # A line that names the trace of an award is not about the span that it is written in.
    ids = {} if "trace_id" in event else ids_of(current_span())
    return {**CALL_FIELDS.get(), **ids, **event}


class Metrics(ServiceMetrics):
    """The metric objects, in a registry of their own."""

    def __init__(self) -> None:
        super().__init__("laurel_", "service")
        self.calls = CallMetrics()
        self.registry.register(self.calls)
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
        self._corrections = Counter(
            "laurel_corrections",
            "Corrections made: awards taken back, and users hidden or shown.",
            ["kind"],
            registry=self.registry,
        )
        self.evicted = self.counter(
            "laurel_watchers_evicted",
            "Watches and feeds ended because a message was left for too long.",
        )
        zone_data = Gauge(
            "laurel_zone_data_info",
            "1, with the version of the time zone data that periods are worked out from.",
            ["version"],
            registry=self.registry,
        )
        zone_data.labels(PINNED.version).set(1)
        for kind in CorrectionKind:
            self._corrections.labels(kind)
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

    def count_corrections(self, kind: CorrectionKind, count: int) -> None:
        """Count corrections of a kind that were made."""
        self._corrections.labels(kind).inc(count)

    def count_item_error(self, reason: str) -> None:
        """Count an award of a batch that got an error."""
        self._item_errors.labels(reason).inc()


REASONS: Final = tuple(name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()[1:])


class MethodMetrics:
    """The metrics of one method: plain numbers, for the event loop alone.

    Those of `prometheus_client` take a lock for each step, a dozen of them for a call.
    """

    __slots__ = ("_buckets", "_seconds", "handled", "received", "sent", "started")

    def __init__(self) -> None:
        self.started = 0
        self.received = 0
        self.sent = 0
        self.handled = dict.fromkeys(GRPC_CODES, 0)
        """Calls that have ended, by the name of their code."""
        self._buckets = [0] * (len(_CALL_SECONDS) + 1)
        self._seconds = 0.0

    def end_call(self, code: str, seconds: float) -> None:
        """Count the end of a call, with the name of its code and how long it took."""
        self.handled[code] += 1
        self._buckets[bisect_left(_CALL_SECONDS, seconds)] += 1
        self._seconds += seconds

    def distribution(self) -> tuple[Sequence[tuple[str, float]], float]:
        """Return how many calls took at most so many seconds, by upper bound, and the sum of all seconds."""
        return list(zip(_UPPER_BOUNDS, accumulate(self._buckets), strict=True)), self._seconds


class CallMetrics(Collector):
    """The server metrics of go-grpc-prometheus, put together when they are read."""

    def __init__(self) -> None:
        self._methods: dict[tuple[str, str, str], MethodMetrics] = {}

    def of(self, kind: str, service: str, method: str) -> MethodMetrics:
        """Return the metrics of one method, which are seen from now on."""
        return self._methods.setdefault((kind, service, method), MethodMetrics())

    def collect(self) -> Iterator[Metric]:
        """Make what is exported."""
        labels = ("grpc_type", "grpc_service", "grpc_method")
        started = CounterMetricFamily("grpc_server_started", "RPCs started on the server.", labels=labels)
        handled = CounterMetricFamily(
            "grpc_server_handled",
            "RPCs completed on the server, whatever their outcome.",
            labels=(*labels, "grpc_code"),
        )
        received = CounterMetricFamily(
            "grpc_server_msg_received", "Messages received on the server.", labels=labels
        )
        sent = CounterMetricFamily("grpc_server_msg_sent", "Messages sent by the server.", labels=labels)
        seconds = HistogramMetricFamily(
            "grpc_server_handling_seconds", "Seconds from the start of an RPC to its end.", labels=labels
        )
        for names, method in self._methods.items():
            started.add_metric(names, method.started)
            received.add_metric(names, method.received)
            sent.add_metric(names, method.sent)
            seconds.add_metric(names, *method.distribution())
            for code, count in method.handled.items():
                handled.add_metric((*names, GRPC_CODES[code]), count)
        return iter((started, handled, received, sent, seconds))
