"""What is in an image: what its service needs, in one folder on top of the base, and nobody can change it."""

import os
import stat
from collections.abc import Iterator
from importlib.metadata import distributions
from importlib.metadata import version as version_of
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from tests.images.buildah import Buildah, Image
from tests.images.wheelhouse import read_pins

_FOLDER = "opt/laurel"
_SIZE_MAX = 150_000_000
_PACKAGES = {
    "score-service": {"score_api", "score_service"},
    "action-gateway": {"score_api", "score_client", "action_gateway"},
}
_OURS = {"score_api", "score_client", "score_service", "action_gateway", "local_stack"}
_UNCHECKED_HASH = 0b01
"""In the head of bytecode: it holds for its source as that is, of whatever time (PEP 552)."""


def _site_packages(image: Image) -> Path:
    (path,) = (image.root / _FOLDER).glob("lib/python3.*/site-packages")
    return path


def _installed(image: Image) -> dict[str, str]:
    found = distributions(path=[str(_site_packages(image))])
    return {canonicalize_name(distribution.name): distribution.version for distribution in found}


def _walk(folder: Path) -> Iterator[Path]:
    """Find all that is in a folder; its links are not followed."""
    for place, folders, files in os.walk(folder):
        yield from (Path(place, name) for name in (*folders, *files))


def test_it_has_the_packages_of_its_service_and_no_other(image: Image) -> None:
    assert {path.name for path in _site_packages(image).iterdir()} & _OURS == _PACKAGES[image.name]


def test_it_has_the_distributions_that_are_pinned_for_it_and_no_other(image: Image, python: str) -> None:
    pins = read_pins(image.name, python)
    pinned = {name: pin.split()[0].partition("==")[2] for name, pin in pins.items()}
    assert _installed(image) == pinned | {"laurel": version_of("laurel")}
    assert "pip" not in pinned


def test_the_bill_of_materials_names_exactly_what_is_installed(
    image: Image, buildah: Buildah, tmp_path: Path
) -> None:
    sbom = buildah.write_sbom(image, tmp_path)
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.6")
    components = sbom["components"]
    assert {canonicalize_name(part["name"]): part["version"] for part in components} == _installed(image)
    assert all(part["purl"].startswith("pkg:pypi/") for part in components)


def test_it_adds_one_folder_to_its_base_and_changes_nothing_else(image: Image, base_root: Path) -> None:
    def outside(root: Path) -> dict[str, tuple[int, int, int, int]]:
        found = {str(path.relative_to(root)): path.lstat() for path in _walk(root)}
        facts = {name: (fact.st_mode, fact.st_uid, fact.st_gid) for name, fact in found.items()}
        sizes = {name: 0 if stat.S_ISDIR(fact.st_mode) else fact.st_size for name, fact in found.items()}
        return {name: (*facts[name], sizes[name]) for name in found if not name.startswith(_FOLDER)}

    assert outside(image.root) == outside(base_root)


def test_nobody_but_root_can_write_to_it_and_nothing_in_it_gives_rights(image: Image) -> None:
    for path in (image.root / _FOLDER, *_walk(image.root / _FOLDER)):
        fact = path.lstat()
        assert (fact.st_uid, fact.st_gid) == (0, 0), path
        assert stat.S_ISLNK(fact.st_mode) or not fact.st_mode & (stat.S_IWGRP | stat.S_IWOTH), path
        assert not fact.st_mode & (stat.S_ISUID | stat.S_ISGID), path
        assert "security.capability" not in os.listxattr(path, follow_symlinks=False), path


def test_it_has_all_bytecode_and_no_command_of_a_library(image: Image) -> None:
    (cache,) = {f".{path.name.split('.')[1]}.pyc" for path in _site_packages(image).rglob("*.pyc")}
    for source in _site_packages(image).rglob("*.py"):
        bytecode = source.parent / "__pycache__" / f"{source.stem}{cache}"
        assert bytecode.read_bytes()[4] == _UNCHECKED_HASH, source
    commands = {path.name for path in (image.root / _FOLDER / "bin").iterdir() if not path.is_symlink()}
    assert commands == {image.name}


def test_it_does_not_tell_where_its_packages_came_from(image: Image) -> None:
    assert not list(_site_packages(image).rglob("direct_url.json"))
    assert not list(image.root.rglob("pip.conf"))


def test_it_starts_its_service_as_a_user_with_a_number(image: Image) -> None:
    config = image.config
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == [f"/{_FOLDER}/bin/{image.name}"]
    assert config["Cmd"] == ["serve"]
    assert f"PATH=/{_FOLDER}/bin:" in " ".join(config["Env"])
    ports = {"score-service": {"50051/tcp", "9090/tcp"}, "action-gateway": {"8080/tcp", "9091/tcp"}}
    assert set(config["ExposedPorts"]) == ports[image.name]
    assert config["Labels"]["org.opencontainers.image.version"] == version_of("laurel")


def test_it_is_small(image: Image, capsys: pytest.CaptureFixture[str]) -> None:
    size = sum(path.lstat().st_size for path in _walk(image.root / _FOLDER))
    with capsys.disabled():
        print(f"\n{image.name} adds {size / 1e6:.0f} MB to its base")  # noqa: T201 - For the reader of the run.
    assert size < _SIZE_MAX


@pytest.mark.parametrize("name", ["score-service"])
def test_it_is_the_same_whenever_it_is_built(name: str, images: dict[str, Image], buildah: Buildah) -> None:
    assert buildah.build(name).digest == images[name].digest
