"""Leaving, and taking one's data along, on the page: in headless Chromium, before a whole gateway."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import psycopg
from playwright.async_api import Page, expect
from tests.fixtures.clients.windows import PASSWORD, OpenWindow
from tests.fixtures.servers.postgres import Database
from tests.fixtures.services.gateway import Gateway

PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True}


def count_accounts(database: Database) -> int:
    with psycopg.connect(database.gateway_owner_dsn) as connection:
        row = connection.execute("SELECT count(*) FROM gateway.account").fetchone()
    assert row
    return int(row[0])


async def open_account(page: Page) -> None:
    await page.get_by_role("button", name="Account", exact=True).click()
    await expect(page.get_by_role("heading", name="Your account")).to_be_focused()


async def test_a_player_leaves_and_others_see_a_former_player(
    gateway: Gateway, open_window: OpenWindow, database: Database
) -> None:
    ada, bob = await open_window(gateway), await open_window(gateway)
    await ada.register("Ada")
    await bob.register("bob")
    await ada.solve("Quick", "yes")
    await bob.shows("1 Ada 5", "\N{EN DASH} bob, you 0")
    page = ada.page
    await open_account(page)
    await page.get_by_role("button", name="Delete my account").click()
    await expect(page.get_by_label("Type your name")).to_be_focused()

    await page.get_by_role("button", name="Delete for good").click()
    await expect(page.locator("#delete-name-error")).to_have_text("This is not your name.")
    await expect(page.locator("#delete-password-error")).to_have_text("Enter your password.")
    await page.get_by_label("Type your name").fill("ada")
    await page.get_by_label("Your password").fill("another password")
    await page.get_by_role("button", name="Delete for good").click()
    await expect(page.locator("#delete-password-error")).to_have_text("This is not your password.")
    await expect(page.get_by_label("Your password")).to_be_focused()
    assert count_accounts(database) == 2
    await page.get_by_label("Your password").fill(PASSWORD)
    await page.keyboard.press("Enter")

    await expect(page.locator("#entry-notice")).to_have_text(
        "Your account is deleted. Thank you for playing."
    )
    await expect(page.get_by_role("heading", name="Log in")).to_be_focused()
    assert count_accounts(database) == 1
    await expect(bob.page.locator("#board .row .name").first).to_have_text(re.compile("former player"))


async def test_a_deletion_whose_answer_was_lost_is_sent_again(
    gateway: Gateway, open_window: OpenWindow, database: Database
) -> None:
    ada = await open_window(gateway, color_scheme="dark", **PHONE)
    await ada.register("W" * 32)
    page = ada.page
    lost = asyncio.Event()

    async def lose_first_reply(route: Any) -> None:
        answer = await route.fetch()
        await (route.fulfill(response=answer) if lost.is_set() else route.abort())
        lost.set()

    # The login must not end before the player has heard what became of the account.
    await page.route("**/api/v1/account", lose_first_reply)
    await page.route("**/auth/refresh", lambda route: route.abort())
    await open_account(page)
    await ada.fits()
    await page.get_by_role("button", name="Delete my account").click()
    await ada.fits()
    await page.get_by_label("Type your name").fill("W" * 32)
    await page.get_by_label("Your password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.locator("#delete-notice")).to_contain_text("No answer from Laurel.")
    assert count_accounts(database) == 0
    await page.get_by_role("button", name="Delete for good").click()

    await expect(page.locator("#entry-notice")).to_contain_text("Your account is deleted.")
    await ada.fits()
    ada.excuse("ERR_FAILED")


async def test_the_keyboard_leads_into_the_dialog_and_out(gateway: Gateway, open_window: OpenWindow) -> None:
    ada = await open_window(gateway)
    await ada.register("ada")
    page = ada.page
    await page.get_by_role("button", name="Account", exact=True).focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Your account")).to_be_focused()
    await expect(page.get_by_role("dialog")).to_match_aria_snapshot("""
        - dialog "Your account":
          - heading "Your account" [level=2]
          - paragraph: ada
          - region "Your data":
            - heading "Your data" [level=3]
            - button "Download my data"
          - region "Delete account":
            - heading "Delete account" [level=3]
            - button "Delete my account"
          - button "Close"
    """)
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Account", exact=True)).to_be_focused()


async def test_all_pages_of_an_export_become_one_file(
    gateway: Gateway, open_window: OpenWindow, tmp_path: Path
) -> None:
    ada = await open_window(gateway)
    await ada.register("ada")
    page = ada.page
    asked: list[str] = []

    async def export(route: Any) -> None:
        asked.append(route.request.url.partition("export")[2])
        if len(asked) == 1:
            first = {
                "account": {"username": "ada"},
                "sessions": [],
                "awards": [1, 2],
                "nextPageToken": "m/x y",
            }
            await route.fulfill(json=first)
        elif len(asked) == 2:
            problem = {"code": "rate_limited", "title": "Too many requests.", "status": 429}
            await route.fulfill(status=429, json=problem, headers={"Retry-After": "1"})
        else:
            await route.fulfill(json={"account": {}, "sessions": [], "awards": [3]})

    await page.route("**/account/export*", export)
    await open_account(page)
    async with page.expect_download() as downloading:
        await page.get_by_role("button", name="Download my data").click()
    download = await downloading.value
    await download.save_as(tmp_path / "export")

    assert download.suggested_filename == "laurel-account.json"
    assert json.loads((tmp_path / "export").read_text()) == {
        "account": {"username": "ada"},
        "sessions": [],
        "awards": [1, 2, 3],
    }
    assert asked == ["", "?pageToken=m%2Fx%20y", "?pageToken=m%2Fx%20y"]
    await page.unroute("**/account/export*")
    await page.route(
        "**/account/export*", lambda route: route.fulfill(status=502, json={"code": "score_service_denied"})
    )
    await page.get_by_role("button", name="Download my data").click()
    await expect(page.locator("#export-error")).to_contain_text("Laurel is not set up for this.")
    ada.excuse("status of 502")
