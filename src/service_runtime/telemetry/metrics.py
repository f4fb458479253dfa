"""What the metrics of every service have in common: a registry, and gauges that are read on demand."""

from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)


class ServiceMetrics:
    """The registry of one process, with what every service exports."""

    def __init__(self, prefix: str, service: str) -> None:
        """Take the first part of every name, such as `laurel_`, and what help texts call the service."""
        # When each series began would double their number, and nobody asks.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._prefix = prefix
        self._service = service
        self.ready = Gauge(f"{prefix}ready", f"1 while the {service} is ready.", registry=self.registry)
        build = Gauge(f"{prefix}build_info", "1, with the version.", ["version"], registry=self.registry)
        build.labels(version("laurel")).set(1)

    def follow(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read when the metrics are."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def follow_parts(self, parts: Iterable[str], is_available: Callable[[str], bool]) -> None:
        """Add a gauge that says of each part whether it is available, read when the metrics are."""
        up = Gauge(
            f"{self._prefix}part_up",
            f"1 while a part that the {self._service} uses is available, as of the last check.",
            ["part"],
            registry=self.registry,
        )
        for part in parts:
            up.labels(part).set_function(partial(is_available, part))

    def counter(self, name: str, text: str) -> Counter:
        """Add a counter without labels."""
        return Counter(name, text, registry=self.registry)
