"""Replaces an attribute of a module or of a class before the service starts."""

from collections.abc import Callable
from typing import Any


def patch(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Replace an attribute by what `make` returns for the former value.

    Raises AttributeError where there is no such attribute any more.
    """
    setattr(owner, name, make(getattr(owner, name)))
