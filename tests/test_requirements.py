"""The pinned requirements: those of the images are the ones that everything is tested with."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_ROOT = Path(__file__).parents[1]
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _versions(name: str) -> set[str]:
    text = (_ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    return set(re.findall(r"^[\w.-]+==[^\s;]+", text, re.MULTILINE))


@pytest.mark.parametrize("name", ["run", "build", "score-service", "action-gateway", "score-relay"])
def test_what_runs_is_what_was_tested(name: str) -> None:
    assert _versions(name) - _versions("dev") == set()


@pytest.mark.parametrize("service", ["score-service", "action-gateway", "score-relay"])
def test_an_image_has_all_that_its_service_asks_for(service: str) -> None:
    extras = _PROJECT["optional-dependencies"]
    asked = map(Requirement, [*_PROJECT["dependencies"], *extras[service], *extras["otel"]])
    pinned = {canonicalize_name(line.partition("==")[0]) for line in _versions(service)}
    assert {canonicalize_name(requirement.name) for requirement in asked} <= pinned
