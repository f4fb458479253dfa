"""What properties of boundaries are checked with: all zones, and the years that count."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from score_service.domain.board.board_settings import BoardSettings
from score_service.periods.zone_data import PINNED

FIRST = datetime(2020, 1, 1, tzinfo=UTC)
LAST = datetime(2041, 1, 1, tzinfo=UTC)

zone_names = st.sampled_from(sorted(PINNED.names))
instants = st.datetimes(
    FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None), timezones=st.just(UTC), allow_imaginary=False
)


def in_zone(time_zone: str) -> BoardSettings:
    """Make settings with all periods of the calendar."""
    return BoardSettings(time_zone=time_zone, periods=("day", "week", "month"))
