"""The Markdown of this repository as pages of a site, while it stays as it is where it lies.

The index, `docs/README.md`, is also the navigation of the site: its headings are the captions, and what it
links to stands below them in its order. Any other `README.md` has the pages of its folder below it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from posixpath import normpath
from typing import Final, NamedTuple

HOME: Final = "README"
"""The first page of the site, by its path without `.md`, as Sphinx names pages."""
INDEX: Final = "docs/README"

_FENCED: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"\[(?P<text>[^\]]+)\]\((?P<path>[^)\s#:]+)(?:#[^)\s]*)?\)")
_CAPTION: Final = re.compile(r"^(?:#+ (.+)|\*\*(.+)\*\*)$", re.MULTILINE)
_PICTURE: Final = re.compile(
    r"<picture>(?P<sources>(?:\s*<source [^>]*>)*)\s*"
    r'<img src="(?P<image>[^"]+)" alt="(?P<alt>[^"]+)"[^>]*>\s*</picture>'
)
_SOURCE: Final = re.compile(r'<source media="(?P<media>[^"]+)" srcset="(?P<image>[^"]+)">')


class Section(NamedTuple):
    """A part of the navigation: pages, by their paths without `.md`."""

    caption: str
    pages: list[str]


def read_sections(text: str, page: str) -> list[Section]:
    """Return the pages that a page links to, below the heading where each comes first."""
    parts = _CAPTION.split(_FENCED.sub("", text))
    known = {HOME, page}
    sections = []
    # split() gives what is before the first match, and then both groups and what follows of each.
    for heading, bold, body in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        pages = [linked for linked in dict.fromkeys(_read_pages(body, page)) if linked not in known]
        known.update(pages)
        sections.append(Section(heading or bold, pages))
    return sections


def read_navigation(home: str, index: str) -> list[Section]:
    """Return the navigation of the site; its last section is what the index does not have."""
    sections = read_sections(index, INDEX)
    known = {INDEX, *(page for section in sections for page in section.pages)}
    rest = [page for section in read_sections(home, HOME) for page in section.pages if page not in known]
    return [Section("", [INDEX]), *sections, Section("Project", rest)]


def read_folder(text: str, page: str) -> Section:
    """Return the pages of its own folder that an index links to."""
    folder = PurePosixPath(page).parent
    linked = [name for section in read_sections(text, page) for name in section.pages]
    return Section("", [name for name in linked if PurePosixPath(name).parent == folder])


def write_toctree(section: Section) -> str:
    """Return the directive that puts a section below the page that it is appended to."""
    caption = [f":caption: {section.caption}"] if section.caption else []
    pages = [f"/{page}" for page in section.pages]
    return "\n".join(["", "", "```{toctree}", ":hidden:", *caption, "", *pages, "```", ""]) if pages else ""


def place_links(text: str, page: str, is_file: Callable[[str], bool], places: Mapping[str, str]) -> str:
    """Lead each link to a folder to its place; one without a place becomes plain text.

    A place is an address below the root of the site.
    """
    folder = PurePosixPath(page).parent
    root = "../" * len(folder.parts)

    def place(link: re.Match[str]) -> str:
        path = normpath(folder / link["path"])
        if path in places:
            shown = re.sub(r"`([^`]+)`", r"<code>\1</code>", link["text"])
            return f'<a href="{root}{places[path]}">{shown}</a>'
        return link[0] if is_file(path) else link["text"]

    return _in_prose(text, lambda prose: _LINK.sub(place, prose))


def write_pictures(text: str) -> str:
    """Write each `<picture>` as its images; the styles show the one for the width and the theme chosen."""
    return _in_prose(text, lambda prose: _PICTURE.sub(_write_images, prose))


def _write_images(picture: re.Match[str]) -> str:
    images = [("", picture["image"]), *_SOURCE.findall(picture["sources"])]
    for_widths = any("max-width" in media for media, _ in images)
    return "\n".join(
        f"![{picture['alt']}]({image}){{{_name_classes(media, for_widths=for_widths)}}}"
        for media, image in images
    )


def _name_classes(media: str, *, for_widths: bool) -> str:
    theme = ".only-dark" if "dark" in media else ".only-light"
    if not for_widths:
        return theme
    return f"{theme} {'.only-narrow' if 'max-width' in media else '.only-wide'}"


def _in_prose(text: str, change: Callable[[str], str]) -> str:
    prose = [change(part) for part in _FENCED.split(text)]
    fenced = [*_FENCED.findall(text), ""]
    return "".join(part for pair in zip(prose, fenced, strict=True) for part in pair)


def _read_pages(text: str, page: str) -> Iterator[str]:
    for link in _LINK.finditer(text):
        if link["path"].endswith(".md"):
            yield normpath(PurePosixPath(page).parent / link["path"]).removesuffix(".md")
