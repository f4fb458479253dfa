"""Which periods the awards of a batch may count in. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from score_service.domain.board.board_settings import BoardSettings
from score_service.domain.board.period import Period, PeriodKind, Schedule, find_current
from score_service.periods.calendar import period_holding, periods_between
from score_service.periods.zone_data import PINNED, ZoneData

REACH: Final = timedelta(hours=1)
"""How far from the clock of this process the ledger time of a batch may be."""
_AHEAD: Final = timedelta(hours=26)
"""How much earlier than by the rules of its zone a period may end that was opened by those of another."""


def make_schedule(
    settings_revision: int,
    settings: BoardSettings,
    now: datetime,
    occurred: Iterable[datetime] = (),
    zone_data: ZoneData = PINNED,
) -> Schedule:
    """Make the schedule of a batch.

    Args:
        settings_revision: of the settings.
        settings: the settings of the board.
        now: by the clock of this process, in UTC.
        occurred: when those awards happened that say it.
        zone_data: what the zone of the board is looked up in.

    Returns:
        One that is complete for ledger times from `REACH` before now to `REACH` after it, also where a period
        that was stored by other zone data or in another zone ends before the next one begins.
    """
    valid_from, valid_until = now - REACH, now + REACH
    earlier = sorted(set(occurred))
    periods: list[Period] = []
    for kind in PeriodKind:
        until = valid_until if kind is PeriodKind.SEASON else valid_until + _AHEAD
        found = list(periods_between(settings, kind, valid_from, until, zone_data))
        for instant in earlier:
            if find_current(found, kind, instant) is None:
                found += filter(None, [period_holding(settings, kind, instant, zone_data)])
        periods += sorted(found, key=lambda period: period.starts_at)
    return Schedule(settings_revision, settings.late, valid_from, valid_until, tuple(periods))
