"""What the settings of a board may be. Pure."""

import enum
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from score_service.domain.board.board_settings import (
    GRACE_MAX,
    KEEP_MAX,
    REVIEW_MAX,
    SEASONS_MAX,
    BoardSettings,
    Season,
)
from score_service.domain.board.period import PeriodKind
from score_service.periods.zone_data import PINNED, ZoneData

CALENDAR_KINDS: Final = (PeriodKind.DAY, PeriodKind.WEEK, PeriodKind.MONTH)
"""Those that `BoardSettings.periods` may name, in its order."""
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""Seasons lie between the two; what is added to their ends is then a time still."""
_SEASON_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class FaultKind(enum.Enum):
    """What is wrong with a setting."""

    INVALID = "invalid"
    TIME_ZONE_UNKNOWN = "time_zone_unknown"
    SEASONS_OVERLAP = "seasons_overlap"
    """Or one is empty."""
    PERIOD_OPEN = "period_open"
    """It would alter a period that is open."""


@dataclass(frozen=True, slots=True)
class SettingsFault:
    """One setting that cannot be as it is given."""

    field: str
    """A field of `BoardSettings`, such as `time_zone` or `seasons[1].ends_at`."""
    rule: str
    """Which rule it breaks, in words that follow the field."""
    kind: FaultKind = FaultKind.INVALID


def find_faults(settings: BoardSettings, zone_data: ZoneData = PINNED) -> list[SettingsFault]:
    """Return every fault that settings have in themselves; none if they are right, in whatever order."""
    return [
        *_check_time_zone(settings.time_zone, zone_data),
        *_check_periods(settings.periods),
        *_check_range("grace_seconds", settings.grace_seconds, 0, GRACE_MAX),
        *_check_range("keep", settings.keep, 1, KEEP_MAX),
        *_check_seasons(settings.seasons),
    ]


def put_in_order(settings: BoardSettings) -> BoardSettings:
    """Return settings without faults in the order that `BoardSettings` says."""
    return replace(
        settings,
        periods=tuple(kind.value for kind in CALENDAR_KINDS if kind.value in settings.periods),
        seasons=tuple(sorted(settings.seasons, key=lambda season: season.starts_at)),
    )


def _check_time_zone(name: str, zone_data: ZoneData) -> Iterator[SettingsFault]:
    if name not in zone_data.names:
        rule = (
            f"must be a name of the zone data {zone_data.version}, such as Europe/Berlin; not CET, EET, MET"
            " or WET, because programs disagree about their summer time"
        )
        yield SettingsFault("time_zone", rule, FaultKind.TIME_ZONE_UNKNOWN)


def _check_periods(periods: Iterable[str]) -> Iterator[SettingsFault]:
    known = {kind.value for kind in CALENDAR_KINDS}
    if any(count > 1 or name not in known for name, count in Counter(periods).items()):
        yield SettingsFault("periods", "must be any of day, week and month, each at most once")


def _check_range(field: str, value: int, least: int, most: int) -> Iterator[SettingsFault]:
    if not least <= value <= most:
        yield SettingsFault(field, f"must be {least} to {most}")


def _check_seasons(seasons: tuple[Season, ...]) -> Iterator[SettingsFault]:
    if len(seasons) > SEASONS_MAX:
        yield SettingsFault("seasons", f"must be at most {SEASONS_MAX}")
        return
    first: dict[str, int] = {}
    for index, season in enumerate(seasons):
        place = f"seasons[{index}]"
        if not _SEASON_ID.fullmatch(season.season_id):
            yield SettingsFault(f"{place}.season_id", "must be 1 to 64 characters of [A-Za-z0-9._-]")
        elif (other := first.setdefault(season.season_id, index)) != index:
            yield SettingsFault(f"{place}.season_id", f"must not be that of seasons[{other}] too")
        yield from _check_range(f"{place}.review_seconds", season.review_seconds, 0, REVIEW_MAX)
        for name, instant in (("starts_at", season.starts_at), ("ends_at", season.ends_at)):
            if not EARLIEST <= instant < LATEST:
                yield SettingsFault(f"{place}.{name}", "must be in the years 1970 to 8999")
        if season.starts_at >= season.ends_at:
            yield SettingsFault(f"{place}.ends_at", "must be after starts_at", FaultKind.SEASONS_OVERLAP)
    yield from _check_overlap(seasons)


def _check_overlap(seasons: tuple[Season, ...]) -> Iterator[SettingsFault]:
    whole = [item for item in enumerate(seasons) if item[1].starts_at < item[1].ends_at]
    by_start = sorted(whole, key=lambda item: (item[1].starts_at, item[0]))
    for (before, one), (index, other) in pairwise(by_start):
        if other.starts_at < one.ends_at:
            rule = f"must not be before seasons[{before}] ends"
            yield SettingsFault(f"seasons[{index}].starts_at", rule, FaultKind.SEASONS_OVERLAP)
