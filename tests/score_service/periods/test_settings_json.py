"""Settings as the ledger holds them."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from score_service.domain.board.board_settings import BoardSettings, LatePolicy, Season
from score_service.periods.settings_json import read_settings, write_settings

from .zones import instants, zone_names

_seasons = st.builds(Season, st.text(max_size=5), instants, instants, st.integers(0, 10**6))
_settings = st.builds(
    BoardSettings,
    zone_names,
    st.sampled_from([(), ("day",), ("day", "week", "month")]),
    st.lists(_seasons, max_size=3).map(tuple),
    st.integers(0, 86_400),
    st.sampled_from(LatePolicy),
    st.integers(1, 10_000),
)


@given(_settings)
def test_what_is_written_is_read_again(settings: BoardSettings) -> None:
    assert read_settings(json.loads(write_settings(settings))) == settings


@given(_settings)
def test_the_text_is_canonical(settings: BoardSettings) -> None:
    text = write_settings(settings)

    assert text.isascii()
    assert text == json.dumps(json.loads(text), separators=(",", ":"), sort_keys=True)


def test_the_text_is_the_same_in_every_version() -> None:
    season = Season(
        "winter", datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 3, 1, 0, 0, 0, 1, tzinfo=UTC), 60
    )
    settings = BoardSettings("Europe/Berlin", ("day", "week"), (season,), 30, LatePolicy.ALL_TIME, 7)

    assert write_settings(settings) == (
        '{"grace_seconds":30,"keep":7,"late":"all_time","periods":["day","week"],"seasons":[{"ends_at":'
        '1803859200000001,"review_seconds":60,"season_id":"winter","starts_at":1796083200000000}],'
        '"time_zone":"Europe/Berlin"}'
    )


def test_what_is_missing_has_its_default() -> None:
    assert read_settings({}) == BoardSettings()


def test_settings_of_a_later_version_are_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="later version: week"):
        read_settings({"week": "sunday"})
