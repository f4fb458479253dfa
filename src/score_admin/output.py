"""What is printed: tables for people, and for programs a JSON object a line."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from enum import Enum
from functools import singledispatch
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import click
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_NOTHING: Final = "-"
_UNBOUNDED: Final = 10_000
"""Columns of an output that is no terminal: nothing is cut off for a program that reads it."""


def print_json(value: "DataclassInstance | Mapping[str, object]") -> None:
    """Print one object on a line of its own."""
    fields = value if isinstance(value, Mapping) else asdict(value)
    click.echo(json.dumps(fields, default=_write, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table. Numbers stand to the right, and what is not known is a dash."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    written = [[describe(cell) for cell in row] for row in rows]
    for number, column in enumerate(columns):
        is_numeric = bool(written) and all(row[number].replace(",", "").isdecimal() for row in written)
        table.add_column(column, justify="right" if is_numeric else "left", overflow="fold")
    for row in written:
        table.add_row(*row)
    console = Console(highlight=False, markup=False, emoji=False)
    console = (
        console
        if console.is_terminal
        else Console(width=_UNBOUNDED, highlight=False, markup=False, emoji=False)
    )
    console.print(table)


def print_fields(fields: Mapping[str, object]) -> None:
    """Print the fields of one thing, a line each."""
    width = max(map(len, fields))
    for name, value in fields.items():
        click.echo(f"{name:<{width}}  {describe(value)}")


@singledispatch
def describe(value: object) -> str:
    """Write a value for people."""
    # What comes from others is shown as it is read, and moves no cursor.
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in str(value)) or _NOTHING


@describe.register
def _(_value: None) -> str:
    return _NOTHING


@describe.register
def _(value: bool) -> str:  # noqa: FBT001 - It is the value.
    return "yes" if value else "no"


@describe.register
def _(value: int) -> str:
    return f"{value:,}"


@describe.register
def _(value: datetime) -> str:
    return value.strftime("%Y-%m-%d %H:%M:%S")


@describe.register
def _(value: tuple) -> str:  # type: ignore[type-arg]
    return ", ".join(map(describe, value)) or _NOTHING


@describe.register
def _(value: bytes) -> str:
    return value.hex() or _NOTHING


def _write(value: Any) -> object:
    match value:
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case UUID() | Enum():
            return str(value)
        case bytes():
            return value.hex()
        case _:
            raise TypeError(type(value))
