"""The site that `make docs-check` has built: whole, strict, and without a request to anywhere else."""

import re
import threading
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Final
from urllib.parse import unquote, urlsplit

import pytest
from playwright.async_api import Browser, ViewportSize, expect

ROOT: Final = Path(__file__).parents[3]
SITE: Final = ROOT / "build/docs"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"
)
"""What CONTRIBUTING.md says the site can be served with."""
OTHER_PROGRAMS: Final = ("grpc", "python")
"""The folders of the pages of both APIs; their scripts are inline."""
PHONE: Final = ViewportSize(width=390, height=844)


class Elements(HTMLParser):
    """The elements of a page: what it loads, where it leads, its anchors, and its icons."""

    loading: ClassVar = {"src", "srcset", "poster", "data"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.icons: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "link" and "icon" in (given.get("rel") or "").split():
            self.icons.append(given.get("href") or "")
        for name, value in attrs:
            if name in self.loading or (name == "href" and tag in {"link", "use", "image"}):
                self.loads.append(value or "")
            elif name == "href":
                self.links.append(value or "")
            elif name in {"id", "name"}:
                self.anchors.add(value or "")


def read_pages() -> dict[Path, Elements]:
    if not (SITE / "index.html").exists():
        pytest.fail("build/docs is missing: make it with make docs-check", pytrace=False)
    return {page: Elements(page.read_text(encoding="utf-8")) for page in sorted(SITE.rglob("*.html"))}


def is_elsewhere(address: str) -> bool:
    return bool(urlsplit(address).netloc)


def is_of_the_site(page: Path) -> bool:
    return page.relative_to(SITE).parts[:1] not in {(folder,) for folder in OTHER_PROGRAMS}


@pytest.fixture(scope="module")
def pages() -> dict[Path, Elements]:
    return read_pages()


@pytest.fixture
def address() -> Iterator[str]:
    """Serve the site under the policy; return where."""

    class Handler(SimpleHTTPRequestHandler):
        def end_headers(self) -> None:
            if is_of_the_site(SITE / self.path.removeprefix("/")):
                self.send_header("Content-Security-Policy", POLICY)
            super().end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=SITE)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_every_page_of_the_documentation_is_there(pages: dict[Path, Elements]) -> None:
    written = [page for pattern in ("*.md", "docs/**/*.md") for page in ROOT.glob(pattern)]
    expected = {SITE / page.relative_to(ROOT).with_suffix(".html") for page in written}
    assert expected - pages.keys() == set()


def test_the_policy_is_the_one_that_is_recommended() -> None:
    assert POLICY in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").replace("\n  ", " ")


def test_no_page_loads_anything_from_elsewhere(pages: dict[Path, Elements]) -> None:
    loaded = [(str(page), load) for page, elements in pages.items() for load in elements.loads]
    assert [load for load in loaded if is_elsewhere(load[1])] == []
    assert len(loaded) > len(pages)


def test_every_page_has_the_icon_of_the_project(pages: dict[Path, Elements]) -> None:
    # Where a page names none, a browser asks for /favicon.ico, which no folder of files has to have.
    named = {page: [(page.parent / icon).resolve() for icon in pages[page].icons] for page in pages}
    icon = SITE / "_static/icon.svg"
    assert {page: icons for page, icons in named.items() if icons != [icon]} == {}
    assert icon.read_bytes() == (ROOT / "src/action_gateway/page/icon.svg").read_bytes()


def test_no_style_loads_anything_from_elsewhere() -> None:
    styles = {path: path.read_text(encoding="utf-8") for path in SITE.rglob("*.css")}
    found = {
        path: [
            url
            for url in re.findall(r"""(?:url\(|@import)\s*(?:url\()?\s*['"]?([^'")\s;]+)""", text)
            if is_elsewhere(url) and not url.startswith("data:")
        ]
        for path, text in styles.items()
    }
    assert {path: urls for path, urls in found.items() if urls} == {}
    assert styles


def test_every_link_leads_to_a_page_and_an_anchor_that_exist(pages: dict[Path, Elements]) -> None:
    faults = []
    for page, elements in pages.items():
        for link in [*elements.links, *elements.loads]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            # pdoc links to attributes that it does not list.
            anchor = unquote(parts.fragment) if is_of_the_site(page) and target in pages else ""
            if not target.is_file() or (anchor and anchor not in pages[target].anchors):
                faults.append((str(page.relative_to(SITE)), link))
    assert faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_obey_the_policy_ask_nobody_else_and_fit_a_phone(
    address: str, browser: Browser, pages: dict[Path, Elements], scheme: Any
) -> None:
    context = await browser.new_context(viewport=PHONE, color_scheme=scheme)
    tab = await context.new_page()
    faults: list[str] = []
    requests: list[str] = []
    tab.on("console", lambda message: faults.append(f"{message.text} {message.location['url']}"))
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))
    for page in pages.keys() - {SITE / "index.html"}:  # That one leads on at once.
        await tab.goto(f"{address}/{page.relative_to(SITE)}")
        if is_of_the_site(page):
            width = await tab.evaluate("document.documentElement.scrollWidth")
            assert (page, width) == (page, PHONE["width"])
    assert faults == []
    assert [request for request in requests if not request.startswith((address, "data:"))] == []
    await context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "kind"), [(PHONE["width"], "bench-narrow"), (1200, "bench")])
async def test_each_picture_is_shown_once_for_the_theme_and_the_width(
    address: str, browser: Browser, scheme: Any, width: int, kind: str
) -> None:
    tab = await browser.new_page(viewport=ViewportSize(width=width, height=900), color_scheme=scheme)
    await tab.goto(f"{address}/README.html")
    images = await tab.locator("article img:visible").evaluate_all("images => images.map(image => image.src)")
    shown = [PurePosixPath(image).name for image in images]
    assert shown[:2] == [f"page-{scheme}.png", f"{kind}-{scheme}.svg"]
    assert len(shown) == len(set(shown))
    await tab.close()


async def test_a_search_finds_the_page_that_is_about_it(address: str, browser: Browser) -> None:
    tab = await browser.new_page()
    await tab.goto(f"{address}/README.html")
    await tab.get_by_role("textbox", name="Search").fill("midnight")
    await tab.keyboard.press("Enter")
    found = tab.locator("ul.search a").filter(has_text="Boards and their periods").first
    await found.click()
    await expect(tab.get_by_role("heading", name="Boards and their periods")).to_be_visible()
    await tab.close()


async def test_the_first_page_is_the_readme(address: str, browser: Browser) -> None:
    tab = await browser.new_page()
    await tab.goto(address)
    await expect(tab).to_have_url(f"{address}/README.html")
    await tab.close()
