"""Which zones a board may have, and where they are read from."""

import os
import subprocess
import sys
import zoneinfo
from importlib.resources import files
from pathlib import Path

import pytest

from score_service.periods.zone_data import PINNED

_OFFSETS = """
import zoneinfo
from datetime import datetime
before = zoneinfo.ZoneInfo("Europe/Berlin")  # Stays in the cache of the process.
from score_service.periods.zone_data import PINNED
noon = datetime(2027, 1, 1, 12)
for zone in (before, PINNED.zone("Europe/Berlin"), zoneinfo.ZoneInfo("Europe/Madrid")):
    print(int(zone.utcoffset(noon).total_seconds()))
"""


def test_zone_files_of_the_system_are_not_used(tmp_path: Path) -> None:
    tokyo = (files("tzdata") / "zoneinfo" / "Asia" / "Tokyo").read_bytes()
    (tmp_path / "Europe").mkdir()
    for name in ("Berlin", "Madrid"):
        (tmp_path / "Europe" / name).write_bytes(tokyo)

    shown = subprocess.run(
        [sys.executable, "-c", _OFFSETS],
        env={**os.environ, "PYTHONTZPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert shown.stdout.split() == ["32400", "3600", "3600"]


def test_the_version_is_that_of_the_package_which_is_pinned() -> None:
    pinned = Path("requirements/score-service.txt").read_text(encoding="utf-8")
    package = f"tzdata=={PINNED.version[:4]}.{ord(PINNED.version[4]) - ord('a') + 1} "

    assert package in pinned


def test_every_name_has_a_zone() -> None:
    assert all(isinstance(PINNED.zone(name), zoneinfo.ZoneInfo) for name in PINNED.names)
    assert len(PINNED.names) > 500


@pytest.mark.parametrize(
    "name", ["CET", "EET", "MET", "WET", "Factory", "europe/berlin", "Europe/Bonn", "localtime", ""]
)
def test_names_without_a_place_of_their_own_are_none(name: str) -> None:
    assert name not in PINNED.names


def test_a_zone_that_the_data_does_not_have_is_an_error() -> None:
    with pytest.raises(zoneinfo.ZoneInfoNotFoundError):
        PINNED.zone("Europe/Bonn")
