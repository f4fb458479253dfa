"""Puts a mistake into a program before it starts."""

from collections.abc import Callable
from typing import Any


def plant(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Put something in the place of what a module or a class has; `make` is given what was there.

    Raises AttributeError where there is no such thing any more.
    """
    setattr(owner, name, make(getattr(owner, name)))
