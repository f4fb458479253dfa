"""Statements as files of a package, one operation a file, loaded by name."""

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import LiteralString


def make_loader(package: str) -> Callable[[str], LiteralString]:
    """Make a function that reads `<name>.sql` of a package."""

    @cache
    def load_statement(name: str) -> LiteralString:
        # The text is part of the program, so it may stand where psycopg wants a literal.
        return files(package).joinpath(f"{name}.sql").read_text(encoding="utf-8")

    return load_statement
