"""The statements of the relay's store, one operation a file, loaded by name."""

from functools import cache
from importlib.resources import files
from typing import LiteralString


@cache
def load_statement(name: str) -> LiteralString:
    """Read `<name>.sql`. The text is part of this package, so it may stand where psycopg wants a literal."""
    return files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
