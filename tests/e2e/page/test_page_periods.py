"""The page on a board with periods, in headless Chromium, before a score service that a test scripts.

What the real services make of a period that ends stands in `test_periods.py`.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.message import Message
from grpc import StatusCode
from playwright.async_api import Route, expect
from tests.fixtures.clients.windows import UNRANKED, OpenWindow
from tests.fixtures.services.gateway import Gateway, StartGateway

from conformance.server.scripted import Context, ScriptedServer, reject
from local_stack.certificates import CertificateFiles
from score_api.v1 import board_service_pb2 as boards
from score_api.v1 import leaderboard_service_pb2 as leaderboards
from score_api.v1 import types_pb2

_UNKNOWN = reject(StatusCode.NOT_FOUND, "PERIOD_UNKNOWN")
_NONE = reject(StatusCode.NOT_FOUND, "STANDING_NOT_FOUND")
_ALL_TIME = ("", "all_time")
_KINDS = {
    "day": types_pb2.PERIOD_KIND_DAY,
    "week": types_pb2.PERIOD_KIND_WEEK,
    "month": types_pb2.PERIOD_KIND_MONTH,
    "season": types_pb2.PERIOD_KIND_SEASON,
}


def make_period(period_id: str, starts_at: datetime, ends_at: datetime, **changes: Any) -> types_pb2.Period:
    fields: dict[str, Any] = {
        "id": period_id,
        "kind": _KINDS[period_id.partition(":")[0]],
        "starts_at": starts_at,
        "ends_at": ends_at,
        "closes_at": ends_at + timedelta(minutes=10),
        "state": types_pb2.PERIOD_STATE_OPEN,
        "next_starts_at": ends_at,
    }
    return types_pb2.Period(**(fields | changes))


def rank(*scores: tuple[str, int]) -> list[types_pb2.Standing]:
    return [
        types_pb2.Standing(user_id=user_id, total=total, rank=place, reached_revision=1)
        for place, (user_id, total) in enumerate(scores, start=1)
    ]


@dataclass
class ScriptedBoard:
    """What the score service says of a board: its current periods, their standings, and past results."""

    top: list[types_pb2.Standing]
    current: dict[str, types_pb2.Period] = field(default_factory=dict)
    tops: dict[str, list[types_pb2.Standing]] = field(default_factory=dict)
    past: list[boards.PeriodResult] = field(default_factory=list)
    watches: list[tuple[str, "asyncio.Queue[Message | None]"]] = field(default_factory=list)

    def serve_by(self, server: ScriptedServer) -> None:
        server.script("ListStandings", self.list_standings)
        server.script("ListStandingsAround", _NONE)
        server.script("BatchGetStandings", self.find_standings)
        server.script("WatchLeaderboard", self.watch)
        server.script("ListPeriods", self.list_periods)
        server.script("GetAward", reject(StatusCode.NOT_FOUND, "AWARD_NOT_FOUND"))

    def turn_over(self, kind: str, period: types_pb2.Period, *winners: tuple[str, int]) -> None:
        """Let another period be the current one, and the one before go with its result."""
        before = self.current[kind]
        before.state = types_pb2.PERIOD_STATE_CLOSING
        self.past.insert(0, boards.PeriodResult(period=before, winners=rank(*winners)))
        self.current[kind] = period
        self.tops[kind] = []
        for choice, messages in self.watches:
            if choice == kind:
                messages.put_nowait(self._snapshot(kind))

    def end(self, kind: str) -> None:
        """Let there be no current period of a kind any more."""
        del self.current[kind]
        for choice, messages in self.watches:
            if choice == kind:
                messages.put_nowait(None)

    def score(self, kind: str, *scores: tuple[str, int]) -> None:
        """Let these be the standings in a current period."""
        self.tops[kind] = rank(*scores)
        update = leaderboards.Update(top=self.tops[kind], top_changed=True, scores=self.tops[kind])
        for choice, messages in self.watches:
            if choice == kind:
                messages.put_nowait(
                    leaderboards.WatchLeaderboardResponse(update=update, revision=3, position="3-00")
                )

    async def list_standings(self, request: Any, context: Context) -> Message | bytes:
        if request.period in _ALL_TIME:
            return leaderboards.ListStandingsResponse(standings=self.top, revision=2)
        if request.period not in self.current:
            return await _UNKNOWN(request, context)
        return leaderboards.ListStandingsResponse(revision=2, period=self.current[request.period])

    async def find_standings(self, request: Any, _context: Context) -> Message:
        shown = (
            self.top if request.period in _ALL_TIME else self.tops.get(request.period.partition(":")[0], [])
        )
        found = [standing for standing in shown if standing.user_id in request.user_ids]
        return leaderboards.BatchGetStandingsResponse(standings=found, revision=2)

    async def list_periods(self, request: Any, _context: Context) -> Message:
        results = [one for one in self.past if request.kind in {0, one.period.kind}]
        return boards.ListPeriodsResponse(results=results[: request.page_size])

    async def watch(self, request: Any, context: Context) -> AsyncIterator[Message | bytes]:
        if request.period and request.period not in self.current:
            yield await _UNKNOWN(request, context)
        messages: asyncio.Queue[Message | None] = asyncio.Queue()
        self.watches.append((request.period, messages))
        yield self._snapshot(request.period)
        while message := await messages.get():
            yield message
        yield await _UNKNOWN(request, context)

    def _snapshot(self, choice: str) -> leaderboards.WatchLeaderboardResponse:
        snapshot = leaderboards.Snapshot(
            top=self.tops.get(choice, []) if choice else self.top, period=self.current.get(choice)
        )
        return leaderboards.WatchLeaderboardResponse(snapshot=snapshot, revision=2, position="2-00")


@pytest.fixture
def board() -> ScriptedBoard:
    """Return a board with a day that ends in a little more than five hours, a week and a season."""
    now = datetime.now(UTC).replace(microsecond=0)
    start = now - timedelta(hours=18, minutes=30)
    end = start + timedelta(days=1)
    board = ScriptedBoard(rank(("bob", 90), ("cay", 40)))
    board.current = {
        "day": make_period("day:2026-11-30", start, end),
        "week": make_period("week:2026-W49", start, start + timedelta(days=7)),
        "season": make_period("season:laurel", start, start + timedelta(days=14)),
    }
    board.tops = {"day": rank(("cay", 15)), "week": rank(("cay", 25), ("bob", 20))}
    yesterday = make_period(
        "day:2026-11-29", start - timedelta(days=1), start, state=types_pb2.PERIOD_STATE_FINAL, entrants=4
    )
    board.past = [
        boards.PeriodResult(period=yesterday, winners=rank(("bob", 30), ("dan", 20), ("W" * 40, 10)))
    ]
    return board


@pytest.fixture
async def gateway(
    start_gateway: StartGateway, server_certificate: CertificateFiles, board: ScriptedBoard
) -> AsyncIterator[Gateway]:
    server = ScriptedServer(server_certificate)
    board.serve_by(server)
    async with server:
        yield await start_gateway(score_target=server.target)


async def test_a_tab_shows_a_period_its_end_and_the_podium_before(
    gateway: Gateway, open_window: OpenWindow
) -> None:
    ada = await open_window(gateway)
    await ada.register("ada")
    page = ada.page
    await expect(page.get_by_role("tab")).to_have_text(["All time", "Today", "This week", "This season"])
    await ada.shows("1 bob 90", "2 cay 40", f"{UNRANKED} ada, you 0")
    await expect(page.locator("#clock")).to_be_hidden()

    await page.get_by_role("tab", name="Today").click()
    await ada.shows("1 cay 15", f"{UNRANKED} ada, you 0")
    await ada.is_live()
    await expect(page.locator("#own-label")).to_have_text("Your score today")
    await expect(page.locator("#clock")).to_contain_text("November 30, 2026 ends in 5 hr")
    before = page.get_by_role("region", name="Yesterday")
    await expect(before).to_contain_text("Final result")
    await expect(before.get_by_role("listitem")).to_have_count(3)
    await expect(before.get_by_role("listitem").first).to_contain_text("bob")

    await page.get_by_role("tab", name="This week").click()
    await ada.shows("1 cay 25", "2 bob 20", f"{UNRANKED} ada, you 0")
    await expect(page.locator("#clock")).to_contain_text("Week 49, 2026 ends in 6 days 5 hr")
    await expect(page.locator("#before")).to_be_hidden()

    await page.get_by_role("tab", name="All time").click()
    await ada.shows("1 bob 90", "2 cay 40", f"{UNRANKED} ada, you 0")
    await expect(page.locator("#own-label")).to_have_text("Your score")


async def test_the_page_goes_on_with_the_next_day_without_a_reload(
    gateway: Gateway, board: ScriptedBoard, open_window: OpenWindow
) -> None:
    ada = await open_window(gateway)
    await ada.register("ada")
    page = ada.page
    user_id = await page.evaluate("JSON.parse(Object.values(localStorage)[0]).user.userId")
    board.score("day", (user_id, 50), ("cay", 15))
    await page.get_by_role("tab", name="Today").click()
    await ada.scores(50, 1)
    await page.evaluate("globalThis.isTheSame = true")

    today = board.current["day"]
    tomorrow = make_period(
        "day:2026-12-01", today.ends_at.ToDatetime(UTC), today.ends_at.ToDatetime(UTC) + timedelta(days=1)
    )
    board.turn_over("day", tomorrow, (user_id, 50), ("cay", 15))

    await ada.scores(0, None)
    await expect(page.locator("#clock")).to_contain_text("December 1, 2026 ends in 1 day")
    await expect(page.locator("#announcer")).to_have_text("A new day has begun.")
    before = page.get_by_role("region", name="Yesterday")
    await expect(before.get_by_role("listitem").first).to_contain_text("ada")
    await expect(before).to_contain_text("Counting until")
    board.score("day", ("cay", 5))
    await ada.shows("1 cay 5", f"{UNRANKED} ada, you 0")
    assert await page.evaluate("isTheSame")
    await expect(page.get_by_role("tab", name="Today")).to_have_attribute("aria-selected", "true")


async def test_a_season_that_ends_without_a_next_one_leaves_all_time(
    gateway: Gateway, board: ScriptedBoard, open_window: OpenWindow
) -> None:
    ada = await open_window(gateway)
    await ada.register("ada")
    await ada.page.get_by_role("tab", name="This season").click()
    await expect(ada.page.locator("#clock")).to_contain_text("Season laurel ends in 13 days")
    # Past what the gateway remembers of the current periods.
    gateway.clock.advance(60)
    board.end("season")
    await expect(ada.page.get_by_role("tab")).to_have_text(["All time", "Today", "This week"])
    await ada.shows("1 bob 90", "2 cay 40", f"{UNRANKED} ada, you 0")
    await ada.is_live()


async def test_tabs_are_used_by_keyboard_and_named_for_a_screen_reader(
    gateway: Gateway, open_window: OpenWindow
) -> None:
    ada = await open_window(gateway)
    await ada.register("ada")
    page = ada.page
    await page.get_by_role("tab", name="All time").focus()
    for key, name in (
        ("ArrowRight", "Today"),
        ("End", "This season"),
        ("ArrowRight", "All time"),
        ("ArrowLeft", "This season"),
        ("Home", "All time"),
        ("ArrowRight", "Today"),
    ):
        await page.keyboard.press(key)
        await expect(page.get_by_role("tab", name=name)).to_be_focused()
    await page.keyboard.press("Enter")
    await ada.shows("1 cay 15", f"{UNRANKED} ada, you 0")
    await expect(page.get_by_role("region", name="Leaderboard")).to_match_aria_snapshot("""
        - region "Leaderboard":
          - heading "Leaderboard" [level=2]
          - tablist "Leaderboard":
            - tab "All time"
            - tab "Today" [selected]
            - tab "This week"
            - tab "This season"
          - tabpanel "Today":
            - paragraph:
              - timer: /ends in/
            - list:
              - listitem:
                - paragraph: Rank 1
                - paragraph: cay
                - paragraph: 15 points
            - region "Yesterday":
              - heading "Yesterday" [level=3]
              - paragraph: Final result
              - list:
                - listitem:
                  - paragraph: Rank 1
                  - paragraph: bob
                  - paragraph: 30 points
    """)


@pytest.mark.parametrize("width", [320, 360, 1280])
async def test_tabs_and_podium_fit_on_the_smallest_phone_and_on_a_desk(
    gateway: Gateway, open_window: OpenWindow, width: int
) -> None:
    ada = await open_window(gateway, viewport={"width": width, "height": 740})
    await ada.register("ada")
    await ada.page.get_by_role("tab", name="Today").click()
    await expect(ada.page.get_by_role("region", name="Yesterday")).to_be_visible()
    await ada.fits()


async def test_tabs_that_could_not_be_read_come_later(gateway: Gateway, open_window: OpenWindow) -> None:
    ada = await open_window(gateway)
    rejected = 0

    async def reject_once(route: Route) -> None:
        nonlocal rejected
        rejected += 1
        await (
            route.fulfill(status=429, json={"code": "rate_limited"}) if rejected == 1 else route.continue_()
        )

    await ada.page.route("**/leaderboard/periods?limit=1", reject_once)
    await ada.register("ada")
    await expect(ada.page.get_by_role("tab")).to_have_text(["All time", "Today", "This week", "This season"])
    assert rejected > 1


async def test_a_board_without_periods_has_no_tabs(
    gateway: Gateway, board: ScriptedBoard, open_window: OpenWindow
) -> None:
    board.current.clear()
    board.past.clear()
    ada = await open_window(gateway)
    rejections: list[int] = []
    ada.page.on("response", lambda response: rejections.append(response.status))
    await ada.register("ada")
    await ada.shows("1 bob 90", "2 cay 40", f"{UNRANKED} ada, you 0")
    await expect(ada.page.get_by_role("tablist")).to_be_hidden()
    await expect(ada.page.locator("#panel")).not_to_have_attribute("role", "tabpanel")
    assert max(rejections) < 400
