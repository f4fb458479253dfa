"""How operators write settings."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from score_service.domain.board.board_settings import BoardSettings, LatePolicy, Season
from score_service.periods.boards_file import BoardsFile
from score_service.periods.settings_change import SettingsPatch
from score_service.periods.settings_rules import find_faults
from service_runtime.errors import SetupError

_FILE = """
[default]
time_zone = "Europe/Berlin"
periods = ["day"]

[[board]]
board_id = "daily"
grace_seconds = 0
late = "all_time"
keep = 12

[[board]]
board_id = "league"
[[board.season]]
season_id = "winter"
starts_at = 2026-12-01T00:00:00+01:00
ends_at = 2027-03-01T00:00:00Z
review_seconds = 60
"""


def test_a_file_says_what_to_set_and_leaves_the_rest() -> None:
    file = BoardsFile.parse(_FILE)
    winter = Season("winter", datetime(2026, 11, 30, 23, tzinfo=UTC), datetime(2027, 3, 1, tzinfo=UTC), 60)

    assert file.default == SettingsPatch(time_zone="Europe/Berlin", periods=("day",))
    assert dict(file.boards) == {
        "daily": SettingsPatch(grace_seconds=0, late=LatePolicy.ALL_TIME, keep=12),
        "league": SettingsPatch(seasons=(winter,)),
    }


def test_instants_are_kept_in_utc() -> None:
    (season,) = BoardsFile.parse(_FILE).boards["league"].seasons or ()

    assert season.starts_at.tzinfo is UTC


def test_a_file_may_be_empty() -> None:
    assert BoardsFile.parse("") == BoardsFile(None, {})


def test_an_empty_list_takes_out_what_there_was() -> None:
    patch = BoardsFile.parse('[[board]]\nboard_id = "a"\nperiods = []\nseason = []\n').boards["a"]
    season = Season("s", datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC))
    before = BoardSettings(periods=("day",), seasons=(season,), keep=3)

    assert patch.apply(before) == BoardSettings(keep=3)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("board = 1", "board: "),
        ("[[board]]\nkeep = 1", "board[0].board_id: is missing"),
        ('[[board]]\nboard_id = "a b"', "board[0].board_id: must be 1 to 128 characters"),
        (
            '[[board]]\nboard_id = "a"\n[[board]]\nboard_id = "a"',
            "board[1].board_id: is that of board[0] too",
        ),
        ('[[board]]\nboard_id = "a"\nweek = "sunday"', "board[0].week: is not known"),
        ('[[board]]\nboard_id = "a"\nkeep = "1"', "board[0].keep: "),
        ('[[board]]\nboard_id = "a"\nkeep = true', "board[0].keep: "),
        ('[[board]]\nboard_id = "a"\nkeep = 1.0', "board[0].keep: "),
        ('[[board]]\nboard_id = "a"\nkeep = 99999999999999999999', "board[0].keep: "),
        ('[[board]]\nboard_id = "a"\nlate = "sometimes"', "board[0].late: "),
        ('[[board]]\nboard_id = "a"\nperiods = "day"', "board[0].periods: "),
        ('[[board]]\nboard_id = "a"\nperiods = [1]', "board[0].periods[0]: "),
        ('[default]\nboard_id = "a"', "default.board_id: is not known"),
        ("[boards]", "boards: is not known"),
        ("[[board]", "is no TOML"),
    ],
)
def test_a_fault_names_its_place(text: str, fault: str) -> None:
    with pytest.raises(SetupError) as caught:
        BoardsFile.parse(text)

    assert len(caught.value.faults) == 1
    assert caught.value.faults[0].startswith(fault)


@pytest.mark.parametrize(
    "instant",
    [
        "2027-01-01T00:00:00",  # Of no zone.
        "2027-01-01",
        '"2027-01-01T00:00:00Z"',  # A text.
        "1798761600",
        "0001-01-01T00:00:00+14:00",  # Before the first year in UTC.
    ],
)
def test_a_season_starts_at_an_instant(instant: str) -> None:
    season = f'season = [{{season_id = "s", starts_at = {instant}, ends_at = 2027-02-01T00:00:00Z}}]'
    with pytest.raises(SetupError) as caught:
        BoardsFile.parse(f'[[board]]\nboard_id = "a"\n{season}')

    assert [fault.partition(":")[0] for fault in caught.value.faults] == ["board[0].season[0].starts_at"]


def test_the_example_of_the_documentation_is_one() -> None:
    page = (Path(__file__).parents[3] / "docs" / "operations" / "boards.md").read_text(encoding="utf-8")
    lines = page.partition("## The file\n")[2].partition("\n| key")[0].splitlines()
    file = BoardsFile.parse("\n".join(line.removeprefix("    ") for line in lines))

    assert file.default is not None
    assert [find_faults(patch.apply(BoardSettings())) for patch in (file.default, *file.boards.values())] == [
        [],
        [],
    ]
    assert file.boards["league"].seasons
