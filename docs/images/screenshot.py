"""Shows the page of a running stack with points on its board, for light and dark pages: `make screenshot`.

Starts a stack of its own on free ports, registers players, awards their points as a backend does, and
photographs the page in Chromium. Writes `page-light.png` and `page-dark.png` into the folder that is its one
argument.
"""

import asyncio
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

from playwright.async_api import Browser, ViewportSize, async_playwright, expect
from tests.fixtures.clients.windows import FLAGS, PASSWORD, PATIENCE_MS, Window
from tests.fixtures.programs import BROWSERS, find_program
from tests.fixtures.services.local_stack import Launcher, RunningStack

from score_client import ClientCredentials, ScoreClient

VIEWER: Final = "grace"
POINTS: Final = {
    "ada": 95,
    "radia": 90,
    "grace": 85,
    "emmy": 70,
    "hedy": 60,
    "sofia": 45,
    "mary": 30,
    "alan": 15,
}
SIZE: Final = ViewportSize(width=1100, height=700)


async def award_points(stack: RunningStack) -> None:
    """Give every player points, the last first, so that nobody is equal by accident."""
    folder = stack.state_dir / "certificates"
    credentials = ClientCredentials(
        ca_file=folder / "ca.pem",
        certificate_file=folder / "sample-backend.pem",
        key_file=folder / "sample-backend-key.pem",
    )
    users = {name: await asyncio.to_thread(stack.register, name) for name in POINTS}
    async with ScoreClient(stack.score_target, credentials=credentials) as client:
        for name, points in reversed(list(POINTS.items())):
            await client.award(
                board_id="main",
                user_id=users[name],
                points=points,
                action_type="sample",
                action_id="screenshot",
            )


async def photograph(
    browser: Browser, stack: RunningStack, scheme: Literal["light", "dark"], path: Path
) -> None:
    """Log in, wait until the board is complete and still, and write what is seen."""
    context = await browser.new_context(viewport=SIZE, color_scheme=scheme, reduced_motion="reduce")
    window = Window(await context.new_page())
    window.page.set_default_timeout(PATIENCE_MS)
    await window.page.goto(stack.http_url)
    await window.page.get_by_label("Username").fill(VIEWER)
    await window.page.get_by_label("Password", exact=True).fill(PASSWORD)
    await window.page.get_by_role("button", name="Log in").click()
    await window.is_live()
    await window.scores(POINTS[VIEWER], rank=3)
    await window.shows(
        *(
            f"{rank} {name}{', you' if name == VIEWER else ''} {points}"
            for rank, (name, points) in enumerate(POINTS.items(), start=1)
        )
    )
    await window.page.screenshot(path=path, animations="disabled")
    await context.close()
    if window.faults:
        raise RuntimeError(window.faults)


async def photograph_stack(stack: RunningStack, folder: Path) -> None:
    """Write both pictures of a stack whose board is empty."""
    expect.set_options(timeout=PATIENCE_MS)
    await award_points(stack)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_program(*BROWSERS), args=FLAGS)
        await photograph(browser, stack, "light", folder / "page-light.png")
        await photograph(browser, stack, "dark", folder / "page-dark.png")
        await browser.close()


def main() -> None:
    """Start a stack, photograph it and stop it."""
    if not any(map(shutil.which, BROWSERS)):
        sys.exit(f"A screenshot needs a browser, one of {', '.join(BROWSERS)}.")
    with TemporaryDirectory() as folder:
        launcher = Launcher(Path(folder))
        try:
            asyncio.run(photograph_stack(launcher.start(), Path(sys.argv[1])))
        finally:
            launcher.stop()


if __name__ == "__main__":
    main()
