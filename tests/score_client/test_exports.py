"""What the package offers."""

import inspect

import score_client
from score_client import errors


def test_all_is_sorted_and_complete() -> None:
    public = [name for name, value in vars(score_client).items() if not inspect.ismodule(value)]

    assert score_client.__all__ == sorted(score_client.__all__)
    assert sorted(score_client.__all__) == sorted(name for name in public if not name.startswith("_"))


def test_every_public_error_is_exported_and_drawn() -> None:
    kinds = {
        name
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, errors.ScoreClientError) and not name.startswith("_")
    }

    assert kinds <= set(score_client.__all__)
    assert all(name in (errors.__doc__ or "") for name in kinds)
