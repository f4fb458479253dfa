"""What the tests of `deploy` look at."""

import pytest
from tests.deploy.edited import EDITED, render_edited
from tests.deploy.rendering import OVERLAYS, SCENES, Manifests, read, render


@pytest.fixture(params=SCENES)
def scene(request: pytest.FixtureRequest) -> Manifests:
    """Return the documents of everything that can be rendered, one after the other."""
    return render(request.param)


@pytest.fixture(params=[*OVERLAYS, EDITED])
def overlay(request: pytest.FixtureRequest) -> Manifests:
    """Return the documents of each overlay, and of one that somebody has edited."""
    return read(render_edited()) if request.param == EDITED else render(request.param)


@pytest.fixture
def production() -> Manifests:
    return render("production")


@pytest.fixture
def dev() -> Manifests:
    return render("dev")
