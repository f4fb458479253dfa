"""The wheel: every file of the packages, also those that are no Python, and the commands."""

import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path
from zipfile import ZipFile

import pytest

_ROOT = Path(__file__).parents[1]
_SOURCE = _ROOT / "src"
_PACKAGES = {
    "service_runtime",
    "score_api",
    "score_client",
    "score_admin",
    "score_relay",
    "score_service",
    "action_gateway",
    "local_stack",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=_ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return ZipFile(path)


def _files_of(package: str) -> set[str]:
    paths = (path for path in (_SOURCE / package).rglob("*") if path.is_file())
    return {str(path.relative_to(_SOURCE)) for path in paths if "__pycache__" not in path.parts}


def test_a_wheel_has_every_file_of_every_package_and_no_other(wheel: ZipFile) -> None:
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == set().union(*map(_files_of, _PACKAGES))
    suffixes = {Path(name).suffix for name in names}
    assert suffixes >= {".sql", ".lua", ".html", ".js", ".css", ".svg", ".toml", ".pyi"}


@pytest.mark.parametrize("package", sorted(_PACKAGES))
def test_a_wheel_says_that_a_package_has_types(wheel: ZipFile, package: str) -> None:
    assert f"{package}/py.typed" in wheel.namelist()


def test_a_wheel_brings_both_commands_and_the_licence(wheel: ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    entry_points = ConfigParser()
    entry_points.read_string(wheel.read(name).decode())
    assert set(entry_points["console_scripts"]) == {
        "score-service",
        "action-gateway",
        "score-admin",
        "score-relay",
    }
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel.namelist())
