"""The packages that the images are built from, in a folder: the builds themselves have no network."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.images.command import ROOT, run

_REQUIREMENTS = ROOT / "requirements"

Pins: TypeAlias = Mapping[str, str]
"""The line of each distribution, by its name."""


def read_pins(name: str, python: str) -> dict[str, str]:
    """Read what `requirements/` pins under a name for this system and a version of Python."""
    environment = {"python_full_version": python, "python_version": python.rpartition(".")[0]}
    text = (_REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8")
    pins: dict[str, str] = {}
    for line in text.replace("\\\n", "").splitlines():
        pinned, option, hashes = line.partition("--hash")
        requirement = Requirement(pinned)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            distribution = canonicalize_name(requirement.name)
            pins[distribution] = f"{distribution}{requirement.specifier} {option}{hashes}"
    return pins


def fill_wheelhouse(folder: Path, pins: Pins, python: str) -> None:
    """Fetch the wheels with their hashes, from where pip is told to look; nothing if they are here."""
    wanted, kept = "\n".join(sorted(pins.values())), folder / "requirements.txt"
    if kept.exists() and kept.read_text(encoding="ascii") == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    draft = folder / "draft.txt"
    draft.write_text(wanted, encoding="ascii")
    options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--requirement", str(draft)]
    options += ["--python-version", python.rpartition(".")[0], "--dest", str(folder)]
    run([sys.executable, "-m", "pip", "download", *options])
    draft.rename(kept)
