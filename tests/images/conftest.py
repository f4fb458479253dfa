"""Images that are built once: on this system's packages, from the wheels that `requirements/` pins."""

import os
import shutil
import tempfile
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from tests.fixtures.programs import find_program
from tests.images.buildah import Buildah, Image
from tests.images.command import ROOT, run
from tests.images.container import Container
from tests.images.debian import make_base
from tests.images.wheelhouse import fill_wheelhouse, read_pins

SERVICES = ("score-service", "action-gateway")
_KEPT = ROOT / "build" / "images"
_MEMORY = Path("/dev/shm")
_ROOM = 8_000_000_000

StartContainer: TypeAlias = Callable[..., Container]


@pytest.fixture(scope="session")
def base() -> Path:
    for program in ("debootstrap", "buildah", "unshare"):
        find_program(program, f"/usr/sbin/{program}")
    if os.geteuid() != 0:
        pytest.fail("to build and run images without a daemon takes root", pytrace=False)
    return make_base(_KEPT)


@pytest.fixture(scope="session")
def buildah(base: Path) -> Iterator[Buildah]:
    # Every step of a build copies the base's thousands of files, which memory does sooner.
    place = _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM else None
    with tempfile.TemporaryDirectory(prefix="laurel-images-", dir=place) as folder:
        yield Buildah.open(Path(folder), base, _KEPT / "wheels")


@pytest.fixture(scope="session")
def base_root(buildah: Buildah) -> Path:
    """Return the file system of the base."""
    return buildah.mount()


@pytest.fixture(scope="session")
def python(base_root: Path) -> str:
    """Return the version of the base's Python."""
    program = "import platform; print(platform.python_version())"
    return run(["chroot", base_root, "python3", "-c", program])


@pytest.fixture(scope="session")
def images(buildah: Buildah, python: str) -> dict[str, Image]:
    """Build the images of both services."""
    locks = [read_pins(name, python) for name in (*SERVICES, "build", "sbom")]
    fill_wheelhouse(buildah.wheels, dict(ChainMap(*locks)), python)
    return {name: buildah.build(name) for name in SERVICES}


@pytest.fixture(params=SERVICES)
def image(request: pytest.FixtureRequest, images: dict[str, Image]) -> Image:
    """Return the image of one service after the other."""
    return images[request.param]


@pytest.fixture(scope="session")
def database_template(provisioned_template: str) -> str:
    """Leave the schemas to the images."""
    return provisioned_template


@pytest.fixture
def start_container(images: dict[str, Image], tmp_path: Path) -> Iterator[StartContainer]:
    """Return a function that starts an image with arguments and settings."""
    containers: list[Container] = []

    def start(name: str, *arguments: str | Path, settings: Mapping[str, Any]) -> Container:
        folder = tmp_path / f"container-{len(containers)}"
        containers.append(Container.start(images[name], folder, arguments, settings))
        return containers[-1]

    yield start
    for container in containers:
        container.kill()
