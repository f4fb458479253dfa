"""What the tests of `deploy` look at."""

import pytest
from tests.deploy.rendering import OVERLAYS, SCENES, Manifests, render


@pytest.fixture(params=SCENES)
def scene(request: pytest.FixtureRequest) -> Manifests:
    """Return the documents of everything that can be rendered, one after the other."""
    return render(request.param)


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> Manifests:
    """Return the documents of each overlay."""
    return render(request.param)


@pytest.fixture
def production() -> Manifests:
    return render("production")


@pytest.fixture
def dev() -> Manifests:
    return render("dev")
