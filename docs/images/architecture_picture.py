"""Colours what Graphviz drew of `architecture.dot`, for light and dark pages: `make architecture-picture`.

Reads SVG from standard input, and writes `architecture-light.svg` and `architecture-dark.svg` into the folder
that is its one argument. They need nothing from elsewhere, and use the fonts of the reader.
"""

import sys
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from bench.report.picture import DARK, FONT, LIGHT, Palette

_SVG: Final = "http://www.w3.org/2000/svg"
_TITLE: Final = "The parts of Laurel, and what runs between them"
_STYLE: Final = """
text {{ font-family: {font}; font-size: 13.5px; fill: {palette.dim}; }}
.node text:first-of-type {{ font-size: 15px; font-weight: 600; fill: {palette.text}; }}
.graph > polygon {{ fill: {palette.background}; }}
.node path {{ fill: {palette.background}; stroke: {palette.dim}; }}
.node.service path {{ stroke: {palette.met}; stroke-width: 2; }}
.edge path {{ stroke: {palette.dim}; }}
.edge polygon {{ fill: {palette.dim}; stroke: {palette.dim}; }}
"""


def colour(drawn: str, palette: Palette) -> str:
    """Return what Graphviz drew, with a title and in these colours."""
    ET.register_namespace("", _SVG)
    picture = ET.fromstring(drawn)  # noqa: S314 - Graphviz wrote it.
    for group in picture.iter(f"{{{_SVG}}}g"):
        # They would repeat the names in the source, which are not for readers.
        for title in group.findall(f"{{{_SVG}}}title"):
            group.remove(title)
    picture.set("role", "img")
    title, style = ET.Element(f"{{{_SVG}}}title"), ET.Element(f"{{{_SVG}}}style")
    title.text, style.text = _TITLE, _STYLE.format(palette=palette, font=FONT)
    picture[:0] = [title, style]
    ET.indent(picture, space=" ")
    return ET.tostring(picture, encoding="unicode") + "\n"


def main() -> None:
    """Write both pictures."""
    drawn, folder = sys.stdin.read(), Path(sys.argv[1])
    for palette in (LIGHT, DARK):
        (folder / f"architecture-{palette.name}.svg").write_text(colour(drawn, palette), encoding="utf-8")


if __name__ == "__main__":
    main()
