"""A season that ends while players watch, with both services as processes of their own."""

import asyncio
import json
import math
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
from playwright.async_api import expect
from tests.fixtures.clients.browser import Browser, join
from tests.fixtures.clients.windows import PATIENCE_MS, OpenWindow
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.processes import Command, RunningService
from tests.fixtures.services.stack import Stack, target_of, variable

_SEASON_SECONDS = 10
"""From when the seasons are set: as long as a busy machine takes to do that, and some calls."""
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Site:
    """Where the page is."""

    url: str


def begin_seasons(stack: Stack, command: Command, file: Path, seconds: int) -> None:
    """Give the board days, a season that ends after so many seconds, and one that begins there."""
    boundary = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
    seasons = (("one", boundary - _HOUR, boundary), ("two", boundary, boundary + _HOUR))
    lines = ["[[board]]", 'board_id = "main"', 'periods = ["day"]', "grace_seconds = 0"]
    for name, starts_at, ends_at in seasons:
        lines += ["[[board.season]]", f'season_id = "{name}"']
        lines += [f"starts_at = {starts_at.isoformat()}", f"ends_at = {ends_at.isoformat()}"]
    file.write_text("\n".join(lines), encoding="utf-8")
    settings = {variable("score_service", name): str(value) for name, value in stack.score_settings.items()}
    done = command.run("boards", "apply", str(file), env=settings)
    assert done.returncode == 0, done.stdout + done.stderr


async def rehearse(stack: Stack, service: RunningService, open_window: OpenWindow) -> int:
    """Return the seconds that this machine takes to start a gateway, open its page and solve a puzzle."""
    began = time.monotonic()
    gateway = await stack.start_gateway(target_of(service))
    bob = await open_window(Site(f"http://{gateway.addresses['http']}/"))
    await bob.register("bob")
    await bob.solve("Quick", "yes")
    await bob.scores(5, 1)
    await bob.page.close()
    return math.ceil(time.monotonic() - began)


async def test_the_page_goes_from_one_season_to_the_next(
    stack: Stack, command: Command, open_window: OpenWindow, tmp_path: Path
) -> None:
    service = await stack.start_score_service()
    seconds = _SEASON_SECONDS + 2 * await rehearse(stack, service, open_window)
    # A gateway that was there before would take a while to find out that the board has periods now.
    await asyncio.to_thread(begin_seasons, stack, command, tmp_path / "boards.toml", seconds)
    gateway = await stack.start_gateway(target_of(service))
    ada = await open_window(Site(f"http://{gateway.addresses['http']}/"))
    page = ada.page
    await ada.register("ada")
    await expect(page.get_by_role("tab")).to_have_text(["All time", "Today", "This season"])
    await page.get_by_role("tab", name="This season").click()
    await expect(page.locator("#clock")).to_contain_text("Season one ends in")
    await ada.solve("Quick", "yes")
    await ada.scores(5, 1)
    await page.evaluate("globalThis.isTheSame = true")

    until_next = 1000 * seconds + PATIENCE_MS
    await expect(page.locator("#clock")).to_contain_text("Season two ends in", timeout=until_next)
    await ada.scores(0, None)
    before = page.get_by_role("region", name="Season one")
    await expect(before.get_by_role("listitem")).to_have_text(re.compile(r"1\s*ada\s*5"))
    await ada.solve("Quick", "yes")
    await ada.scores(5, 1)
    assert await page.evaluate("isTheSame")
    await page.get_by_role("tab", name="All time").click()
    await ada.scores(10, 1)


async def test_sockets_and_streams_go_from_one_season_to_the_next_and_its_result_stays(
    stack: Stack, command: Command, tmp_path: Path
) -> None:
    service = await stack.start_score_service()
    gateway = await stack.start_gateway(target_of(service))
    url = f"http://{gateway.addresses['http']}/api/v1"
    async with httpx.AsyncClient(base_url=url, timeout=20) as http, asyncio.timeout(90):
        ada, bob = await join(http, "ada"), await join(http, "bob")
        await asyncio.to_thread(begin_seasons, stack, command, tmp_path / "boards.toml", _SEASON_SECONDS)
        await _solve(ada)
        async with bob.socket("season") as socket:
            first = json.loads(await socket.recv())
            events = bob.events(period="season")
            streamed = await anext(events)
            seen = [json.loads(await socket.recv()) for _ in range(2)]
            seen_by_stream = [await anext(events) for _ in range(2)]
            await events.aclose()
            await _solve(bob)
            news = {
                message["event"]: message["data"]
                for message in [json.loads(await socket.recv()) for _ in range(2)]
            }
        assert (first["event"], first["data"]["period"]["id"]) == ("leaderboard:initial", "season:one")
        assert [row["score"] for row in first["data"]["leaderboard"]] == [5]
        assert streamed[::2] == ("leaderboard:initial", first["data"])
        assert [message["event"] for message in seen] == ["leaderboard:period", "leaderboard:initial"]
        assert [name for name, _, _ in seen_by_stream] == ["leaderboard:period", "leaderboard:initial"]
        for data in (seen[0]["data"], seen[1]["data"], seen_by_stream[0][2], seen_by_stream[1][2]):
            assert data["period"]["id"] == "season:two"
        assert (seen[1]["data"]["leaderboard"], seen[1]["data"]["me"]["score"]) == ([], 0)
        assert news["score:update"]["newScore"] == 5
        assert [row["userId"] for row in news["leaderboard:update"]["leaderboard"]] == [bob.user_id]

        async def is_final() -> bool:
            return bool((await _get(ada, "/leaderboard", period="season:previous")).status_code == 200)

        await eventually(is_final)
        final = (await _get(ada, "/leaderboard", period="season:previous")).json()
        assert (final["period"]["id"], final["period"]["state"], final["source"]) == (
            "season:one",
            "final",
            "record",
        )
        assert [row["userId"] for row in final["entries"]] == [ada.user_id]
        listed = (await _get(bob, "/leaderboard/periods", kind="season")).json()
        assert [(one["id"], one["entrants"]) for one in listed["periods"]] == [
            ("season:two", 1),
            ("season:one", 1),
        ]
        assert listed["periods"][1]["podium"][0]["username"] == "ada"
        assert (await _get(bob, "/leaderboard/me", period="season:one")).json()["me"]["score"] == 0
        everything = (await _get(bob, "/leaderboard")).json()
        assert ([row["score"] for row in everything["entries"]], everything["period"]) == ([5, 5], None)
        for unknown in ("week", "season:three", "day:2020-01-01", "day:2999-01-01"):
            response = await _get(bob, "/leaderboard", period=unknown)
            assert (response.status_code, response.json()["code"]) == (404, "period_unknown"), unknown


async def _solve(player: Browser) -> None:
    completed = await player.complete(await player.start("quick"), "yes")
    assert completed.status_code == 200, completed.text


async def _get(player: Browser, path: str, **params: Any) -> httpx.Response:
    return await player.http.get(path, params=params, headers=player.headers)
