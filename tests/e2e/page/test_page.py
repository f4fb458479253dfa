"""The page as players meet it: in headless Chromium, on the whole stack of separate processes."""

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import pytest
from playwright.async_api import Request, Route, expect
from tests.fixtures.clients.windows import PASSWORD, PATIENCE_MS, UNRANKED, OpenWindow, Window
from tests.fixtures.network.reverse_proxies import PROXIES, ReverseProxy, StartReverseProxy
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.gateway import ACTIONS
from tests.fixtures.services.processes import RunningService
from tests.fixtures.services.stack import Stack, target_of

from action_gateway.actions.catalog import CatalogAction, replace_actions
from action_gateway.domain.action import Repeat

MARKUP = "<img src=x onerror=alert(1)>"
COUNT_GLIDES = """
    globalThis.glides = 0;
    const { animate } = Element.prototype;
    Element.prototype.animate = function (...given) {
        glides += this.matches(".row");
        return animate.apply(this, given);
    };
"""
LET_NO_SOCKET_THROUGH = """
    globalThis.WebSocket = class extends EventTarget {
        constructor() {
            super();
            setTimeout(() => this.dispatchEvent(new CloseEvent("close", { code: 1006 })));
        }
        close() {}
    };
    dispatchEvent(new Event("offline"));
"""
# Whether the points that were gained touch no leaf of the wreath around them.
GAIN_IS_CLEAR = """
() => {
    const words = document.createRange();
    words.selectNodeContents(document.querySelector("#gain"));
    const box = words.getBoundingClientRect(), height = parseFloat(getComputedStyle(gain).fontSize) * 0.75;
    const middle = (box.top + box.bottom) / 2;
    return [...document.querySelectorAll("#triumph-wreath .blade")].every((blade) => {
        const place = blade.getScreenCTM(), length = blade.getTotalLength();
        return Array.from({ length: 50 }, (_, nth) => {
            return blade.getPointAtLength((length * nth) / 50).matrixTransform(place);
        }).every(({ x, y }) => x < box.left || x > box.right || Math.abs(y - middle) > height / 2);
    });
}
"""


@dataclass(frozen=True, slots=True)
class Site:
    """The running stack."""

    stack: Stack
    service: RunningService
    gateway: RunningService
    proxy: ReverseProxy | None = None

    @property
    def address(self) -> str:
        return self.gateway.addresses["http"]

    @property
    def url(self) -> str:
        """Where browsers find it."""
        return f"https://{self.proxy.address}/" if self.proxy else f"http://{self.address}/"


StartSite: TypeAlias = Callable[..., Awaitable[Site]]


@pytest.fixture
async def start_site(stack: Stack) -> StartSite:
    async def start(**changes: Any) -> Site:
        service = await stack.start_score_service()
        return Site(stack, service, await stack.start_gateway(target_of(service), **changes))

    return start


async def test_points_arrive_and_the_board_moves_in_every_window(
    start_site: StartSite, open_window: OpenWindow
) -> None:
    site = await start_site()
    ada, bob = await open_window(site, COUNT_GLIDES), await open_window(site)
    rejections: list[int] = []
    for window in (ada, bob):
        window.page.on("response", lambda answer: rejections.append(answer.status))
    await ada.register("ada")
    await bob.register("bob")
    await ada.scores(0, None)

    await ada.solve("Short", "ABC", honest_seconds=1.1)
    await ada.scores(10, 1)
    await bob.shows("1 ada 10", f"{UNRANKED} bob, you 0")
    glides = await ada.page.evaluate("glides")
    await bob.solve("Once", "1")
    await bob.scores(20, 1)
    await bob.shows("1 bob, you 20", "2 ada 10")
    await ada.shows("1 bob 20", "2 ada, you 10")
    await ada.scores(10, 2)
    assert await ada.page.evaluate("glides") >= glides + 2
    await expect(ada.page.locator("#chase")).to_contain_text("11 points to pass")
    await expect(bob.page.get_by_role("button", name="Solve Once", exact=True)).to_be_hidden()

    await ada.page.get_by_role("button", name="Log out").click()
    await expect(ada.page.get_by_role("heading", name="Log in")).to_be_focused()
    assert max(rejections) < 400


async def test_an_instant_action_is_collected_once_also_when_the_reply_gets_lost(
    start_site: StartSite, open_window: OpenWindow
) -> None:
    site = await start_site()
    ada = await open_window(site)
    await ada.register("ada")
    statuses: list[int] = []

    async def lose_first_reply(route: Route) -> None:
        answer = await route.fetch()
        statuses.append(answer.status)
        await (route.abort() if len(statuses) == 1 else route.fulfill(response=answer))

    await ada.page.route("**/score/update", lose_first_reply)
    card = ada.page.locator(".action", has_text="Check in")
    await ada.page.get_by_role("button", name="Collect Check in", exact=True).click()
    await ada.scores(4, 1)
    await expect(card).to_contain_text("Collected today")
    await expect(card.get_by_role("button")).to_be_hidden()
    await expect(ada.page.locator("#challenge")).to_be_hidden()

    async def is_settled() -> bool:
        return statuses == [200, 409]

    await eventually(is_settled)
    await ada.page.get_by_role("button", name="Collect Wave", exact=True).click()
    await ada.scores(7, 1)
    ada.excuse("ERR_FAILED")
    ada.excuse("409")


async def test_points_that_were_taken_back_are_gone_also_where_no_socket_gets_through(
    start_site: StartSite, open_window: OpenWindow
) -> None:
    site = await start_site()
    window = await open_window(site)
    await window.register("ada")
    await window.solve("Once", "1")
    await window.scores(20, 1)
    await window.page.clock.install()
    await window.page.evaluate(LET_NO_SOCKET_THROUGH)

    async with site.stack.client(target_of(site.service)) as client:
        (award,) = (await client.list_awards(board_id="main", page_size=5)).awards
        await client.reverse_award(
            board_id="main", award_id=award.award_id, reversal_id=uuid.uuid4(), reason="A mistake."
        )

    async def is_gone() -> bool:
        await window.page.clock.fast_forward("01:00")
        return await window.page.locator("#own-score").text_content() == "0"

    await eventually(is_gone)
    await expect(window.page.locator("#connection")).to_have_text("Offline")


async def test_page_recovers_from_a_restarted_server_and_a_lost_reply(
    start_site: StartSite, open_window: OpenWindow
) -> None:
    site = await start_site()
    ada = await open_window(site)
    await ada.register("ada")
    site.gateway.kill()
    await expect(ada.page.locator("#connection")).to_have_text(re.compile("Reconnecting|Offline"))
    async with site.stack.client(target_of(site.service)) as client:
        rivals = {f"r{number}": 100 - number for number in range(12)} | {"late": 1}
        await asyncio.gather(
            *(
                client.award(
                    board_id="main", user_id=rival, points=points, action_type="duel", action_id="dawn"
                )
                for rival, points in rivals.items()
            )
        )
    await site.stack.start_gateway(target_of(site.service), listen=site.address)
    await ada.is_live()
    top = [f"{place} r{place - 1} {101 - place}" for place in range(1, 11)]
    await ada.shows(*top, f"{UNRANKED} ada, you 0")

    keys: list[str | None] = []

    async def lose_first_reply(route: Route, request: Request) -> None:
        keys.append(await request.header_value("idempotency-key"))
        answer = await route.fetch()
        await (route.abort() if len(keys) == 1 else route.fulfill(response=answer))

    await ada.page.route("**/actions/complete", lose_first_reply)
    await ada.solve("Quick", "yes")
    await ada.scores(5, 13)
    await ada.shows(*top, "12 r11 89", "13 ada, you 5", "14 late 1")
    assert len(keys) == 2
    assert keys[0]
    assert keys[0] == keys[1]
    lost = re.compile("ERR_CONNECTION_REFUSED|ERR_FAILED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET")
    ada.faults[:] = [fault for fault in ada.faults if not lost.search(fault)]


async def test_a_refresh_whose_answer_was_lost_is_repeated_on_the_next_visit(
    start_site: StartSite, open_window: OpenWindow
) -> None:
    site = await start_site(refresh_grace_seconds=0)
    ada = await open_window(site)
    await ada.register("ada")
    keys: list[str | None] = []
    lost = asyncio.Event()

    async def lose_first_reply(route: Route, request: Request) -> None:
        keys.append(await request.header_value("idempotency-key"))
        answer = await route.fetch()
        if len(keys) == 1:
            await route.abort()
            lost.set()
        else:
            await route.fulfill(response=answer)

    await ada.page.route("**/auth/refresh", lose_first_reply)
    await ada.page.reload()
    async with asyncio.timeout(PATIENCE_MS / 1000):
        await lost.wait()
    await ada.page.reload()
    await ada.is_live()
    await ada.page.reload()
    await ada.is_live()

    assert keys[0]
    assert keys[0] == keys[1] != keys[-1]
    ada.excuse("ERR_FAILED")


async def test_rejections_are_shown_in_plain_words(start_site: StartSite, open_window: OpenWindow) -> None:
    site = await start_site(completes_per_minute=7)
    ada = await open_window(site)
    page = ada.page
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_label("Username")).to_have_accessible_description("Enter a username.")
    await page.get_by_label("Username").fill("ada")
    await page.get_by_label("Password", exact=True).fill("guess")
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Password", exact=True)).to_have_accessible_description(
        "This username and password do not go together."
    )
    await ada.register("ada")

    await page.clock.install()
    verdict, send = page.locator("#verdict"), page.locator("#send")
    await page.get_by_role("button", name="Solve Slow").click()
    await page.get_by_label("Your answer").fill("word")
    await page.keyboard.press("Enter")
    await expect(verdict).to_contain_text("Quicker than anyone can be.")
    await page.get_by_role("button", name="Not now").click()
    await page.get_by_role("button", name="Solve Quick").click()
    for left in ("4 attempts", "3 attempts", "2 attempts", "1 attempt"):
        await page.get_by_label("Your answer").fill(f"not {left}")
        await page.keyboard.press("Enter")
        await expect(verdict).to_have_text(f"Not quite. {left} left.")
    await page.get_by_label("Your answer").fill("never")
    await page.keyboard.press("Enter")
    await expect(verdict).to_contain_text("that was the last attempt")
    await expect(send).to_have_text("Start again")
    await send.click()
    await page.get_by_label("Your answer").fill("ABD")
    await page.keyboard.press("Enter")
    await page.get_by_label("Your answer").fill("ABE")
    await page.keyboard.press("Enter")
    await expect(verdict).to_contain_text("That was a lot at once.")
    await expect(send).to_have_text(re.compile(r"Wait \d+ seconds"))
    await expect(send).to_be_disabled()
    await page.clock.fast_forward("10:01")
    await expect(page.locator("#until")).to_have_text("Time is up")
    await expect(send).to_have_text("Start again")


async def test_keyboard_is_enough(start_site: StartSite, open_window: OpenWindow) -> None:
    site = await start_site()
    ada = await open_window(site)
    page = ada.page

    async def reach(name: str, key: str = "Tab") -> None:
        """Walk to the control with a name."""
        described = "[...(document.activeElement.labels ?? []), document.activeElement].map((node) => "
        described += "node.ariaLabel ?? node.textContent).join('|')"
        for _ in range(40):
            await page.keyboard.press(key)
            if name in str(await page.evaluate(described)):
                return
        pytest.fail(f"the Tab key does not lead to {name}")

    await reach("Create an account")
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Username")).to_be_focused()
    await page.keyboard.type("ada")
    await reach("Password")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await ada.is_live()
    await expect(page.get_by_role("button", name="Solve Once")).to_be_visible()

    await reach("Solve Once")
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Your answer")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Solve Once")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Your answer")).to_be_focused()
    # Quick fingers: opened again before the browser has reported that it was closed.
    await page.evaluate("challenge.close(); document.activeElement.click()")
    await expect(page.get_by_label("Your answer")).to_be_focused()
    await page.keyboard.type("1")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Well done")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator("#announcer")).to_have_text("You have 20 points, rank 1.")
    await expect(page.locator(":is(#play-title, .action h3):focus")).to_have_count(1)
    await reach("Log out", "Shift+Tab")
    await page.keyboard.press("Space")
    await expect(page.get_by_role("heading", name="Log in")).to_be_focused()


async def test_phone_shows_all_of_it_with_names_for_a_screen_reader(
    start_site: StartSite, open_window: OpenWindow, database: Database
) -> None:
    hostile = CatalogAction(
        action_id="hostile",
        title=MARKUP,
        prompt=f"{MARKUP} {'W' * 300}",
        answer=".",
        points=1_000_000,
        repeat=Repeat.UNLIMITED,
        min_seconds=0,
    )
    replace_actions(database.gateway_owner_dsn, None, [*ACTIONS, hostile])
    site = await start_site()
    blocked = "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException(); } })"
    phone = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True}
    ada = await open_window(site, blocked, color_scheme="dark", reduced_motion="reduce", **phone)
    page = ada.page
    await ada.fits()
    await expect(page.get_by_role("main")).to_match_aria_snapshot("""
        - region "Earn your laurels":
          - heading "Earn your laurels" [level=1]
        - form "Log in":
          - heading "Log in" [level=2]
          - textbox "Username"
          - textbox "Password"
          - button "Show password"
          - button "Log in"
          - paragraph:
            - button "Create an account"
    """)
    await ada.register("W" * 32)
    await ada.fits()
    await page.get_by_role("button", name=f"Solve {MARKUP}", exact=True).click()
    await ada.fits()
    await expect(page.get_by_role("dialog")).to_match_aria_snapshot("""
        - dialog:
          - paragraph: /1,000,000 points Open until/
          - heading [level=2]
          - paragraph: /<img src=x/
          - textbox "Your answer"
          - button "Send answer"
          - button "Not now"
    """)
    await page.get_by_label("Your answer").fill(".")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog", name=MARKUP)).to_contain_text("1,000,000 points for you.")
    await ada.fits()
    await page.get_by_role("button", name="Done").click()
    await expect(page.locator("#own-score")).to_have_text("1,000,000")
    await ada.fits()
    assert await page.locator("main img").count() == 0
    await expect(page.get_by_role("main")).to_match_aria_snapshot("""
        - region "Your standing":
          - heading "Your standing" [level=1]
        - region "Puzzles":
          - heading "Puzzles" [level=2]
          - list:
            - listitem:
              - heading "Short" [level=3]
              - button "Solve Short"
        - region "Leaderboard":
          - heading "Leaderboard" [level=2]
          - list:
            - listitem:
              - paragraph: Rank 1
              - paragraph: /W+ ?, you/
              - paragraph: 1,000,000 points
    """)
    await expect(page.get_by_role("contentinfo")).to_be_visible()


async def test_tabs_share_a_login_that_outlives_its_access_tokens(
    start_site: StartSite, open_window: OpenWindow
) -> None:
    site = await start_site(access_token_seconds=6)
    ada = await open_window(site)
    await ada.register("ada")
    other = Window(await ada.page.context.new_page())
    states: list[str] = []
    await other.page.expose_function("noteState", lambda state: states.append(state))  # noqa: PLW0108 - Playwright marks it
    await other.page.goto(f"http://{site.address}/")
    await other.is_live()
    note_states = "new MutationObserver(() => noteState(connection.dataset.state))"
    await other.page.evaluate(f"{note_states}.observe(connection, {{ attributes: true }})")
    renewals = 0

    def count(request: Request) -> None:
        nonlocal renewals
        renewals += request.url.endswith("/auth/refresh")

    other.page.on("request", count)
    async with asyncio.timeout(30):
        while renewals < 2:  # noqa: ASYNC110 - the page renews in its own time
            await asyncio.sleep(0.05)
    await ada.solve("Quick", "yes")
    await other.scores(5, 1)
    assert states == []

    await ada.page.get_by_role("button", name="Log out").click()
    await expect(other.page.get_by_role("alert")).to_have_text("You were logged out in another window.")
    assert other.faults == []


@pytest.mark.parametrize("name", PROXIES)
async def test_the_page_is_live_over_http_2_behind_a_proxy(
    start_site: StartSite, open_window: OpenWindow, start_reverse_proxy: StartReverseProxy, name: str
) -> None:
    site = await start_site(trusted_proxies="127.0.0.1")
    behind = replace(site, proxy=start_reverse_proxy(name, gateway=site.address))
    ada = await open_window(behind, ignore_https_errors=True)
    protocol = "performance.getEntriesByType('navigation')[0].nextHopProtocol"
    assert await ada.page.evaluate(protocol) == "h2"
    await ada.register("ada")
    await ada.solve("Quick", "yes")
    await ada.scores(5, 1)
