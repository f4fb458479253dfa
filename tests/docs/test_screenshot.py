"""The pictures of the page in the README are made by a command, of a real stack."""

import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from docs.images.screenshot import SIZE, photograph_stack
from tests.fixtures.services.local_stack import Launcher

IMAGES: Final = Path(__file__).parents[2] / "docs/images"
NAMES: Final = ("page-light.png", "page-dark.png")
MOST_BYTES: Final = 200_000


def read_size(picture: bytes) -> tuple[int, int]:
    """Return width and height of a PNG, from its header."""
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_picture_has_the_size_that_is_taken_and_is_small(name: str) -> None:
    picture = (IMAGES / name).read_bytes()
    assert read_size(picture) == (SIZE["width"], SIZE["height"])
    assert len(picture) < MOST_BYTES


def test_without_a_browser_the_command_says_which_it_needs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "docs.images.screenshot", str(tmp_path)]
    environment = {**os.environ, "PATH": str(tmp_path)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == "A screenshot needs a browser, one of chromium, chromium-browser, google-chrome.\n"


async def test_pictures_are_taken_of_a_stack_for_light_and_dark_pages(
    launcher: Launcher, tmp_path: Path
) -> None:
    await photograph_stack(launcher.start(), tmp_path)
    light, dark = [(tmp_path / name).read_bytes() for name in NAMES]
    assert read_size(light) == read_size(dark) == (SIZE["width"], SIZE["height"])
    assert light != dark
