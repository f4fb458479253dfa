"""The metrics of the gateway. No label ever carries a user."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from service_runtime.telemetry.metrics import ServiceMetrics

_REQUEST_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class AdmissionMetrics:
    """What is counted of the admission of requests."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.under_way = Gauge("gateway_requests_under_way", "Requests in progress.", registry=registry)
        self.rejected = Counter(
            "gateway_requests_rejected",
            "Requests rejected because the process was at capacity.",
            registry=registry,
        )


class Metrics(ServiceMetrics):
    """The metric objects, in a registry of their own."""

    def __init__(self) -> None:
        super().__init__("gateway_", "gateway")
        self.requests = Counter(
            "gateway_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "gateway_request_seconds",
            "Seconds from the start of a request to its end.",
            ["method", "route"],
            buckets=_REQUEST_SECONDS,
            registry=self.registry,
        )
        self.problems = Counter(
            "gateway_problems",
            "Requests that failed, by the code of the problem.",
            ["route", "code"],
            registry=self.registry,
        )
        self.admission = AdmissionMetrics(self.registry)
