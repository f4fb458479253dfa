"""The settings of Sphinx, for the site that `make docs` builds of all pages of this repository.

MyST reads the pages as GitHub does; what differs is written for it in `navigation.py`.
"""

import sys
from pathlib import Path
from typing import Final

from sphinx.application import Sphinx

ROOT: Final = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from docs.site import navigation  # noqa: E402

PLACES: Final = {"proto/score_api/v1": "grpc/index.html", "src/score_client": "python/score_client.html"}
"""Folders whose pages other programs write, and where `make docs` puts those."""

project = "Laurel"
extensions = ["myst_parser"]
root_doc = navigation.HOME
include_patterns = ["*.md", "docs/**.md", "deploy/*.md", "clients/*/README.md"]
exclude_patterns = [".*", "build", "clients/node/node_modules", "requirements", "src", "tests"]
myst_enable_extensions = ["attrs_inline"]
myst_heading_anchors = 6
highlight_language = "none"

html_theme = "furo"
html_title = "Laurel"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_logo = html_favicon = "../../src/action_gateway/page/icon.svg"
templates_path = ["templates"]
html_static_path = ["static"]
html_css_files = ["site.css"]
html_additional_pages = {"index": "index.html"}
html_domain_indices = False
html_use_index = False


def write_for_sphinx(_: Sphinx, page: str, source: list[str]) -> None:
    """Change the text of a page before Sphinx reads it."""
    text = navigation.write_pictures(source[0])
    text = navigation.place_links(text, page, lambda path: (ROOT / path).is_file(), PLACES)
    if page == navigation.HOME:
        index = (ROOT / f"{navigation.INDEX}.md").read_text(encoding="utf-8")
        sections = navigation.read_navigation(source[0], index)
    elif page.endswith("/README") and page != navigation.INDEX:
        sections = [navigation.read_folder(source[0], page)]
    else:
        sections = []
    source[0] = text + "".join(map(navigation.write_toctree, sections))


def setup(app: Sphinx) -> None:
    """Connect what changes the pages."""
    app.connect("source-read", write_for_sphinx)
