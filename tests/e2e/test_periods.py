"""A season that ends while a player watches: the page and both services, as processes of their own."""

import asyncio
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.async_api import expect
from tests.fixtures.stack import Stack, target_of, variable
from tests.fixtures.windows import OpenWindow

_SEASON_SECONDS = 30
"""For as long as a busy machine takes to open the page and to solve a puzzle."""
_NEXT_MS = 2 * _SEASON_SECONDS * 1000
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Site:
    """Where the page is."""

    url: str


def apply_seasons(stack: Stack, file: Path, boundary: datetime) -> None:
    """Give the board days, a season that ends at an instant, and one that begins there."""
    seasons = (("one", boundary - _HOUR, boundary), ("two", boundary, boundary + _HOUR))
    lines = ["[[board]]", 'board_id = "main"', 'periods = ["day"]', "grace_seconds = 0"]
    for name, starts_at, ends_at in seasons:
        lines += ["[[board.season]]", f'season_id = "{name}"']
        lines += [f"starts_at = {starts_at.isoformat()}", f"ends_at = {ends_at.isoformat()}"]
    file.write_text("\n".join(lines), encoding="utf-8")
    settings = {variable("score_service", name): str(value) for name, value in stack.score_settings.items()}
    command = [sys.executable, "-m", "score_service", "boards", "apply", str(file)]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


async def test_the_page_goes_from_one_season_to_the_next(
    stack: Stack, open_window: OpenWindow, tmp_path: Path
) -> None:
    service = await stack.start_score_service()
    gateway = await stack.start_gateway(target_of(service))
    boundary = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=_SEASON_SECONDS)
    await asyncio.to_thread(apply_seasons, stack, tmp_path / "boards.toml", boundary)
    ada = await open_window(Site(f"http://{gateway.addresses['http']}/"))
    page = ada.page
    await ada.register("ada")
    await expect(page.get_by_role("tab")).to_have_text(["All time", "Today", "This season"])
    await page.get_by_role("tab", name="This season").click()
    await expect(page.locator("#clock")).to_contain_text("Season one ends in")
    await ada.solve("Quick", "yes")
    await ada.scores(5, 1)
    await page.evaluate("globalThis.isTheSame = true")

    await expect(page.locator("#clock")).to_contain_text("Season two ends in", timeout=_NEXT_MS)
    await ada.scores(0, None)
    before = page.get_by_role("region", name="Season one")
    await expect(before.get_by_role("listitem")).to_have_text(re.compile(r"1\s*ada\s*5"))
    await ada.solve("Quick", "yes")
    await ada.scores(5, 1)
    assert await page.evaluate("isTheSame")
    await page.get_by_role("tab", name="All time").click()
    await ada.scores(10, 1)
