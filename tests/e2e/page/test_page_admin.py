"""The page for moderators, in headless Chromium, before a score service with the ledger of the test."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Page, expect
from tests.action_gateway.scripted_ledger import ScriptedLedger
from tests.fixtures.clients.roles import grant, revoke
from tests.fixtures.clients.windows import PASSWORD, OpenWindow, Window
from tests.fixtures.services.gateway import Gateway, Player, StartGateway

from conformance.server.scripted import ScriptedServer
from local_stack.certificates import CertificateFiles
from score_api.v1 import correction_service_pb2 as corrections

PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True}
MARKUP = "<img src=x onerror=alert(1)>"


class Desk:
    """Where the page for moderators is."""

    def __init__(self, gateway: Gateway) -> None:
        self.url = f"{gateway.url}/admin"


@pytest.fixture
def ledger() -> ScriptedLedger:
    return ScriptedLedger()


@pytest.fixture
async def gateway(
    start_gateway: StartGateway, server_certificate: CertificateFiles, ledger: ScriptedLedger
) -> AsyncIterator[Gateway]:
    server = ScriptedServer(server_certificate)
    ledger.serve_by(server)
    async with server:
        yield await start_gateway(score_target=server.target)


@pytest.fixture
async def ada(gateway: Gateway, ledger: ScriptedLedger) -> Player:
    ada = await gateway.player("Ada")
    for points in (5, 10, 20):
        ledger.award(ada.user_id, points)
    ledger.award("bob", 30, "duel")
    return ada


async def make_moderator(gateway: Gateway, name: str = "mod") -> Player:
    body = {"username": name, "password": PASSWORD}
    registered = await gateway.http.post("/api/v1/auth/register", json=body)
    moderator = Player(gateway.http, registered.json()["user"]["userId"], name, "")
    await grant(gateway, moderator)
    return moderator


async def enter(window: Window, name: str = "mod") -> Page:
    """Log in as a moderator."""
    page = window.page
    await page.get_by_label("Username", exact=True).fill(name)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.keyboard.press("Enter")
    return page


async def look_up(page: Page, text: str) -> None:
    await page.get_by_label("Username or user id").fill(text)
    await page.keyboard.press("Enter")


async def test_only_moderators_get_in(gateway: Gateway, open_window: OpenWindow) -> None:
    await gateway.http.post("/api/v1/auth/register", json={"username": "mod", "password": PASSWORD})
    window = await open_window(Desk(gateway))
    page = await enter(window)
    await expect(page.get_by_role("heading", name="Not open to this account")).to_be_focused()
    await expect(page.locator("#desk")).to_be_hidden()
    await grant(gateway, Player(gateway.http, await user_of(page), "mod", ""))
    await page.get_by_role("button", name="Try again").click()
    await expect(page.get_by_role("heading", name="Find a player")).to_be_visible()

    await revoke(gateway, Player(gateway.http, await user_of(page), "mod", ""))
    await look_up(page, "Ada")
    await expect(page.locator("#find-error")).to_have_text("Your account is no moderator any more.")
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_role("heading", name="Log in")).to_be_focused()


async def user_of(page: Page) -> str:
    login = await page.evaluate("JSON.parse(localStorage.getItem('laurel.login'))")
    return str(login["user"]["userId"])


async def test_an_award_is_taken_back_after_a_preview(
    gateway: Gateway, open_window: OpenWindow, ada: Player, ledger: ScriptedLedger
) -> None:
    moderator = await make_moderator(gateway)
    page = await enter(await open_window(Desk(gateway)))
    await look_up(page, "nobody")
    await expect(page.locator("#find-error")).to_have_text("There is no such player.")
    await look_up(page, "ada")
    await expect(page.get_by_role("heading", name="Ada", exact=True)).to_be_focused()
    await expect(page.locator("#place-score")).to_have_text("35")
    await expect(page.locator("#place-rank")).to_have_text("1")
    await expect(page.locator("#history .item b")).to_have_text(["+20", "+10", "+5"])

    await page.get_by_role("button", name="Take back +20").click()
    await expect(page.get_by_role("heading", name="Take back an award")).to_be_focused()
    await expect(page.locator("#reversal-what")).to_contain_text("20 points of Ada for puzzle quick")
    await expect(page.locator("#reversal-preview")).to_contain_text("Score 35 → 15")
    await page.locator("#reverse").click()
    await expect(page.locator("#reversal-error")).to_contain_text("Say why")
    assert ledger.asked == []
    await page.get_by_label("Reason").filter(visible=True).last.fill(MARKUP)
    await page.locator("#reverse").click()

    await expect(page.locator("#place-score")).to_have_text("15")
    taken = page.locator("#history .item").first
    await expect(taken).to_contain_text(f"by {moderator.user_id}: {MARKUP}")
    await expect(taken.get_by_role("button")).to_be_hidden()
    await expect(page.locator("#announcer")).to_have_text("20 points taken back.")
    assert [(one.reason, one.on_behalf_of) for one in ledger.asked] == [(MARKUP, moderator.user_id)]
    assert await page.locator("main img").count() == 0


async def test_a_player_without_points_has_a_history(
    gateway: Gateway, open_window: OpenWindow, ledger: ScriptedLedger
) -> None:
    ledger.award("carol", 10)
    await make_moderator(gateway)
    page = await enter(await open_window(Desk(gateway)))
    await look_up(page, "carol")
    await page.get_by_role("button", name="Take back +10").click()
    await page.locator("#reversal-reason").fill("A mistake.")
    await page.keyboard.press("Enter")

    await expect(page.locator("#person-nowhere")).to_be_visible()
    await expect(page.locator("#history .item")).to_contain_text("A mistake.")
    await expect(page.get_by_role("heading", name="History")).to_be_focused()
    await expect(page.locator("#visibility")).to_be_hidden()


async def test_what_was_filled_in_for_one_player_is_not_there_for_another(
    gateway: Gateway, open_window: OpenWindow, ada: Player
) -> None:
    await make_moderator(gateway)
    page = await enter(await open_window(Desk(gateway)))
    await look_up(page, "Ada")
    await page.locator("#visibility-reason").fill("Ada cheats.")
    await page.get_by_role("button", name="Apply", exact=True).click()
    await expect(page.locator("#visibility-error")).to_have_text("That is how it is already.")
    await look_up(page, "bob")

    await expect(page.get_by_role("heading", name="bob", exact=True)).to_be_focused()
    await expect(page.locator("#visibility-reason")).to_have_value("")
    await expect(page.locator("#visibility-error")).to_be_empty()


async def test_a_reversal_whose_answer_was_lost_is_made_once(
    gateway: Gateway, open_window: OpenWindow, ada: Player, ledger: ScriptedLedger
) -> None:
    await make_moderator(gateway)
    window = await open_window(Desk(gateway))
    page = await enter(window)
    await look_up(page, "ada")
    losing = True

    async def lose_first_reply(route: Any) -> None:
        nonlocal losing
        answer = await route.fetch()
        await (route.abort() if losing else route.fulfill(response=answer))
        losing = False

    await page.route("**/moderation/reversals", lose_first_reply)
    await page.get_by_role("button", name="Take back +5").click()
    await page.locator("#reversal-reason").fill("A mistake.")
    await page.keyboard.press("Enter")
    await expect(page.locator("#reversal-error")).to_contain_text("No answer from Laurel.")
    await page.keyboard.press("Enter")

    await expect(page.locator("#place-score")).to_have_text("30")
    assert len({one.reversal_id for one in ledger.asked}) == 1
    window.excuse("ERR_FAILED")


async def test_a_player_is_hidden_and_shown(
    gateway: Gateway, open_window: OpenWindow, ada: Player, ledger: ScriptedLedger
) -> None:
    await make_moderator(gateway)
    page = await enter(await open_window(Desk(gateway)))
    await look_up(page, ada.user_id)
    await expect(page.get_by_label("Everyone")).to_be_checked()
    await page.get_by_role("button", name="Apply", exact=True).click()
    await expect(page.locator("#visibility-error")).to_have_text("That is how it is already.")
    for label, seen, rank in (
        ("Nobody, unnoticed.", "nobody, unnoticed", "1"),
        ("Nobody. The", "nobody", "none"),
        ("Everyone", "everyone", "1"),
    ):
        await page.get_by_label(label).check()
        await page.locator("#visibility-reason").fill("A cheater.")
        await page.get_by_role("button", name="Apply", exact=True).click()
        await expect(page.locator("#place-visibility")).to_have_text(seen)
        await expect(page.locator("#place-rank")).to_have_text(rank)
    assert [one.visibility for one in ledger.asked] == [
        corrections.VISIBILITY_SHADOWED,
        corrections.VISIBILITY_HIDDEN,
        corrections.VISIBILITY_VISIBLE,
    ]


async def test_many_awards_are_taken_back_by_a_plan(
    gateway: Gateway, open_window: OpenWindow, ada: Player, ledger: ScriptedLedger
) -> None:
    await make_moderator(gateway)
    page = await enter(await open_window(Desk(gateway)))
    await page.get_by_role("button", name="Plan").click()
    await expect(page.locator("#bulk-error")).to_have_text("Fill in one field at least.")
    await page.get_by_label("Action id").fill("quick")
    await page.get_by_role("button", name="Plan").click()
    await expect(page.get_by_role("heading", name="The plan")).to_be_focused()
    await expect(page.locator("#plan-sum")).to_contain_text("3 awards of 1 player, 35 points in all.")
    await expect(page.locator("#moves .item")).to_have_text(
        [re.compile(r"Ada\s+score 35 → 0\s+·\s+rank 1 → none")]
    )
    assert ledger.asked == []
    await page.get_by_label("Action type").fill("x")
    await expect(page.locator("#plan")).to_be_hidden()
    await page.get_by_label("Action type").fill("")
    await page.get_by_role("button", name="Plan").click()
    await page.locator("#plan-reason").fill("A leaked answer.")
    await page.get_by_role("button", name="Take back 3 awards").click()

    await expect(page.locator("#plan-sum")).to_have_text("3 awards taken back.")
    await expect(page.locator("#plan-reason")).to_be_hidden()
    assert ledger.total(ada.user_id) == 0
    assert ledger.total("bob") == 30
    ledger.stale = True
    await page.get_by_label("Action id").fill("duel")
    await page.get_by_role("button", name="Plan").click()
    await page.locator("#plan-reason").fill("A leaked answer.")
    await page.get_by_role("button", name="Take back 1 award").click()
    await expect(page.locator("#plan-error")).to_contain_text(
        "The board has changed since this plan was made."
    )


async def test_suspicions_lead_to_their_player_and_can_be_dismissed(
    gateway: Gateway, open_window: OpenWindow, ada: Player
) -> None:
    await make_moderator(gateway)
    token = await ada.start()
    for _ in range(2):
        await ada.complete(token, "wrong")
    await gateway.running.parts.suspicion_log.write()
    page = await enter(await open_window(Desk(gateway)))
    row = page.locator("#queue .item")
    await expect(row).to_contain_text("Wrong answers Ada")
    await expect(row).to_contain_text("2 times")
    await page.get_by_role("button", name="Look up Ada").click()
    await expect(page.get_by_role("heading", name="Ada", exact=True)).to_be_focused()
    await expect(page.locator("#person-suspicions .item")).to_contain_text("Wrong answers")
    await page.get_by_role("button", name="Dismiss: Wrong answers, Ada").click()

    await expect(page.locator("#queue-empty")).to_be_visible()
    await expect(row).to_have_count(0)


async def test_what_the_policy_lacks_is_named(
    gateway: Gateway, open_window: OpenWindow, ada: Player, ledger: ScriptedLedger
) -> None:
    ledger.denied |= {"ListAwards", "SetUserVisibility"}
    await make_moderator(gateway)
    window = await open_window(Desk(gateway))
    page = await enter(window)
    await look_up(page, "ada")
    await expect(page.locator("#history-error")).to_contain_text("score_api.v1.LedgerService/ListAwards")
    await page.get_by_label("Nobody. The").check()
    await page.locator("#visibility-reason").fill("A cheater.")
    await page.keyboard.press("Enter")
    await expect(page.locator("#visibility-error")).to_contain_text("CorrectionService/SetUserVisibility")
    window.excuse("status of 502")


async def test_a_phone_and_the_keyboard_are_enough(
    gateway: Gateway, open_window: OpenWindow, ada: Player, ledger: ScriptedLedger
) -> None:
    for number in range(25):
        ledger.award(ada.user_id, 1_000_000, f"{'W' * 100}{number}")
    await make_moderator(gateway, "W" * 32)
    window = await open_window(Desk(gateway), color_scheme="dark", reduced_motion="reduce", **PHONE)
    page = await enter(window, "W" * 32)
    await expect(page.get_by_role("heading", name="Find a player")).to_be_visible()
    await window.fits()
    await look_up(page, "ada")
    await expect(page.locator("#history .item")).to_have_count(20)
    await window.fits()
    await page.get_by_role("button", name="Show older ones").click()
    await expect(page.locator("#history .item")).to_have_count(28)
    await expect(page.get_by_role("button", name="Show older ones")).to_be_hidden()
    await expect(page.get_by_role("main")).to_match_aria_snapshot("""
        - heading "Moderation" [level=1]
        - region "Find a player":
          - heading "Find a player" [level=2]
          - search "Find a player":
            - searchbox "Username or user id"
            - button "Find"
        - region "Ada":
          - heading "Ada" [level=2]
          - combobox "Leaderboard"
          - form "Hide or show":
            - heading "Hide or show" [level=3]
            - group "Who may see this player on this leaderboard":
              - radio /Everyone/ [checked]
              - radio /Nobody\\./
              - radio /Nobody, unnoticed/
            - textbox "Reason"
            - button "Apply"
          - region "History":
            - heading "History" [level=3]
        - region "Suspicions":
          - heading "Suspicions" [level=2]
        - region "Take back many awards":
          - heading "Take back many awards" [level=2]
    """)
    first = page.locator("#history .item").first.get_by_role("button")
    await first.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Take back an award")).to_be_focused()
    await window.fits()
    await page.keyboard.press("Escape")
    await expect(first).to_be_focused()
