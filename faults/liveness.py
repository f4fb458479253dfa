"""Whether everything came back to rest after all was mended. Pure: what was measured is given."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from faults.findings import Finding, Kind

PATIENCE: Final = 5.0
"""Seconds after which every projection and stream is at the head, once nothing is broken any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """Something that a process holds, as file descriptors or tasks."""

    process: str
    name: str
    before: int
    """After the start, under load."""
    after: int
    """At the end."""
    slack: int
    """How many more there may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Liveness:
    """What was measured after all was mended and nobody asked for anything any more."""

    patience: float = PATIENCE
    """What the lag may take at most."""
    lag_seconds: Mapping[str, float | None] = field(default_factory=dict)
    """By score service: how long until its lag was zero; None where that did not come."""
    waiting: Mapping[str, int] = field(default_factory=dict)
    """By process: awards or calls that still wait."""
    resources: Sequence[Resource] = ()
    unsettled: Sequence[str] = ()
    """Streams that did not show the head in time."""


def check_liveness(liveness: Liveness) -> Iterable[Finding]:
    """Find what did not come to rest."""
    for process, seconds in liveness.lag_seconds.items():
        if seconds is None or seconds > liveness.patience:
            yield Finding(Kind.LAG_LONG, f"{process}: {seconds} s")
    for process, waiting in liveness.waiting.items():
        if waiting:
            yield Finding(Kind.WORK_STUCK, f"{process}: {waiting} wait")
    for resource in liveness.resources:
        if resource.after > resource.before + resource.slack:
            yield Finding(Kind.RESOURCE_LEAKED, str(resource))
    for stream in liveness.unsettled:
        yield Finding(Kind.STREAM_UNSETTLED, stream)
