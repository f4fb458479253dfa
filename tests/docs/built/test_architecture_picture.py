"""The committed pictures of the architecture are what is drawn of their source."""

import subprocess
import sys
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import pytest
from docs.images.architecture_picture import colour

from bench.report.picture import DARK, LIGHT, Palette

ROOT: Final = Path(__file__).parents[3]
IMAGES: Final = ROOT / "docs/images"
TOOLS: Final = ROOT / ".venv/tools"
GRAPHVIZ: Final = TOOLS / "node_modules/.bin/wasm-graphviz-cli"


@pytest.fixture(scope="module")
def drawn() -> str:
    """Return what Graphviz draws of the source."""
    if not GRAPHVIZ.exists():
        pytest.fail("Graphviz is missing: make it with make docs-check", pytrace=False)
    options = ["--layout", "dot", "--format", "svg", str(IMAGES / "architecture.dot")]
    command = [str(TOOLS / "bin/node"), str(GRAPHVIZ), *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_the_picture_is_what_is_drawn_of_its_source(drawn: str, palette: Palette) -> None:
    committed = (IMAGES / f"architecture-{palette.name}.svg").read_text(encoding="utf-8")
    assert committed == colour(drawn, palette), "run `make architecture-picture`"


def test_the_program_writes_both_pictures(drawn: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "docs.images.architecture_picture", str(tmp_path)]
    subprocess.run(command, input=drawn, text=True, check=True, cwd=ROOT)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "architecture-dark.svg",
        "architecture-light.svg",
    ]


def test_the_picture_has_one_title_and_loads_nothing(drawn: str) -> None:
    picture = ET.fromstring(colour(drawn, LIGHT))
    titles = [element.text for element in picture.iter() if element.tag.endswith("}title")]
    assert titles == ["The parts of Laurel, and what runs between them"]
    assert [name for element in picture.iter() for name in element.attrib if name.endswith("href")] == []
