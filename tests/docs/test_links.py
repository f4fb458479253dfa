"""The links of all Markdown files lead to files and headings of this repository that exist."""

import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = [
    str(page.relative_to(ROOT))
    for pattern in ("*.md", "docs/**/*.md", "deploy/**/*.md")
    for page in sorted(ROOT.glob(pattern))
]


def read_prose(page: Path) -> str:
    """Return a page without its code blocks, in which nothing is a link or a heading."""
    text = page.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


@cache
def find_anchors(page: Path) -> frozenset[str]:
    """Return the anchors that hosts of Markdown make of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", read_prose(page), re.MULTILINE)
    words = (re.sub(r"[^\w -]", "", heading.lower()) for heading in headings)
    return frozenset(word.replace(" ", "-") for word in words)


def find_faults(page: Path) -> list[str]:
    """Return the links of a page that lead nowhere."""
    text = re.sub(r"`[^`]*`", "", read_prose(page))
    links = re.findall(r"\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)", text, re.MULTILINE)
    faults = []
    for link in (inline or reference for inline, reference in links):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in find_anchors(target)):
            faults.append(link)
    return faults


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(name: str) -> None:
    assert find_faults(ROOT / name) == []


@pytest.mark.parametrize("name", [name for name in PAGES if name.startswith("docs/")])
def test_every_page_is_reached_from_the_index(name: str) -> None:
    reached: set[Path] = set()
    ahead = [ROOT / "docs/README.md"]
    while ahead:
        page = ahead.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        text = read_prose(page)
        ahead += [(page.parent / link).resolve() for link in re.findall(r"\]\(([^)\s#:]+)", text)]
    assert ROOT / name in reached


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# A `good` heading, 2\n", encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md) [b](other.md#a-good-heading-2) [c](gone.md) [d](other.md#gone) [e](#gone)\n"
        "`[f](gone.md)`\n"
        "```\n[g](gone.md)\n```\n[h]: gone.txt\n[i](https://example.org/gone)\n",
        encoding="utf-8",
    )
    assert find_faults(page) == ["gone.md", "other.md#gone", "#gone", "gone.txt"]
