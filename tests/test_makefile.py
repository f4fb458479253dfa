"""The Makefile: what it lists, and what it says on a machine that lacks something."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

_MAKEFILE = Path(__file__).parents[1] / "Makefile"
_TARGETS = re.findall(r"^\.PHONY: (.+)$", _MAKEFILE.read_text(encoding="utf-8"), re.MULTILINE)


def _make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # The make that runs the tests must not pass on its own options.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    shutil.copy(_MAKEFILE, folder)
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def _fake_python(folder: Path, *, fails_on: str) -> str:
    path = folder / "fake-python"
    path.write_text(f'#!/bin/sh\ncase "$*" in *{fails_on}*) exit 1;; esac\nexit 0\n')
    path.chmod(0o755)
    return f"PYTHON={path}"


@pytest.mark.parametrize("target", _TARGETS)
def test_help_is_the_default_and_lists_every_target(tmp_path: Path, target: str) -> None:
    assert re.search(rf"^  {target} +[A-Z].*\.$", _make(tmp_path).stdout.split("PYTHON=")[0], re.MULTILINE)


def test_a_python_that_is_too_old_is_told_in_one_line(tmp_path: Path) -> None:
    result = _make(tmp_path, ".venv/made.stamp", _fake_python(tmp_path, fails_on="version_info"))
    assert result.stderr.startswith("Laurel needs Python 3.11 or newer; tried ")
    assert result.returncode == 2


def test_a_python_without_venv_is_told_with_what_to_install(tmp_path: Path) -> None:
    result = _make(tmp_path, ".venv/made.stamp", _fake_python(tmp_path, fails_on="env"))
    assert "cannot make virtual environments: install its package, such as python3-venv." in result.stderr
    assert result.returncode == 2
