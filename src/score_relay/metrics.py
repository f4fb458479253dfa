"""The metrics of the relay. No label ever carries a board, a user or a URL."""

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final

from prometheus_client import Counter, Gauge, Histogram

from service_runtime.telemetry.metrics import ServiceMetrics
from service_runtime.telemetry.tracing import current_span, ids_of

_ATTEMPT_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_REASONS: Final = ("3xx", "4xx", "5xx", "timeout", "connection", "tls", "protocol")
"""Why attempts fail, other than by statuses that no receiver should have."""


def add_span_fields(_logger: object, _level: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Add the ids of the span that a log line belongs to."""
    return {**ids_of(current_span()), **event}


class Metrics(ServiceMetrics):
    """The metric objects, in a registry of their own."""

    def __init__(self, receivers: Iterable[str]) -> None:
        """Take the names of the receivers, so that rates start from zero."""
        super().__init__("relay_", "relay")
        self.delivered = self._count("relay_events_delivered", "Events that receivers took.")
        self.given_up = self._count("relay_events_given_up", "Events that became dead letters.")
        self.attempts_failed = Counter(
            "relay_attempts_failed",
            "Attempts to deliver that failed: by the first digit of the status, or why there is none.",
            ["receiver", "reason"],
            registry=self.registry,
        )
        self.attempt_seconds = Histogram(
            "relay_attempt_seconds",
            "Seconds that an attempt to deliver took.",
            ["receiver"],
            buckets=_ATTEMPT_SECONDS,
            registry=self.registry,
        )
        self.dead_letters = Gauge(
            "relay_dead_letters",
            "Dead letters in the store, as of the last count.",
            ["receiver"],
            registry=self.registry,
        )
        self._lag = Gauge(
            "relay_lag_seconds",
            "How long ago the oldest entry was recorded that is being delivered; 0 while none is.",
            ["receiver"],
            registry=self.registry,
        )
        self._stopped = Gauge(
            "relay_stopped",
            "Boards of a receiver that nothing is delivered of, because its position cannot be read on from.",
            ["receiver"],
            registry=self.registry,
        )
        for name in receivers:
            for metric in (self.delivered, self.given_up, self.attempt_seconds, self.dead_letters):
                metric.labels(name)
            for reason in _REASONS:
                self.attempts_failed.labels(name, reason)

    def follow_receiver(
        self, name: str, read_lag: Callable[[], float], count_stopped: Callable[[], float]
    ) -> None:
        """Report the state of a receiver whenever the metrics are read."""
        self._lag.labels(name).set_function(read_lag)
        self._stopped.labels(name).set_function(count_stopped)

    def _count(self, name: str, text: str) -> Counter:
        return Counter(name, text, ["receiver"], registry=self.registry)
