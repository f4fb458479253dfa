"""What was measured after the last fault was healed. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

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
    """What was measured after the last fault was healed and the load had ended."""

    patience: float = PATIENCE
    """What the lag may take at most."""
    lag_seconds: Mapping[str, float | None] = field(default_factory=dict)
    """By score service: how long until its lag was zero; None where that did not come."""
    waiting: Mapping[str, int] = field(default_factory=dict)
    """By process: awards or calls that still wait."""
    resources: Sequence[Resource] = ()
    unsettled: Sequence[str] = ()
    """Streams that did not show the head in time."""
    complaints: Sequence[str] = ()
    """What the commands said that archive and check ledgers, where one did not end with code 0."""
    read_at: int | None = None
    """When the last record was read, in microseconds since 1970; None where it was not."""
