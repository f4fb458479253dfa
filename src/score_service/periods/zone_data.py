"""Time zones, from the pinned package `tzdata` and nothing else.

Python looks at the system's zone files first. They are of another age on every system, so two replicas could
disagree about where a day starts. Therefore importing this module takes the system's files out of the
process; what is read otherwise, as by the driver of the database, then agrees too.
"""

import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from functools import cache
from typing import Final

import tzdata  # type: ignore[import-untyped]

zoneinfo.reset_tzpath(to=())

REJECTED: Final = frozenset({"CET", "EET", "MET", "WET", "Factory"})
"""Names that are no place. PostgreSQL takes the first four for fixed offsets where other programs have summer
time; `Factory` is what a system has that was not set up."""


@dataclass(frozen=True, slots=True)
class ZoneData:
    """The zones of one version of the IANA data."""

    version: str
    """Such as `2026f`."""
    names: frozenset[str]
    """Those that a board may have."""
    zone: Callable[[str], tzinfo]
    """Return the zone of a name. Raises `zoneinfo.ZoneInfoNotFoundError` where the data has none."""


# Not from the cache that all share: it may hold zones that were read from the system before.
PINNED: Final = ZoneData(
    tzdata.IANA_VERSION,
    frozenset(zoneinfo.available_timezones() - REJECTED),
    cache(zoneinfo.ZoneInfo.no_cache),
)
"""What this process has."""
