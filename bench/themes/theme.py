"""A theme: measures that share what they need, take turns, and are compared with each other."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TypeAlias

from bench.figures.row import Row, Sample
from bench.stack.stack import Stack

Measure: TypeAlias = Callable[[float], Awaitable[Sample]]
"""Does something for about so many seconds."""


@dataclass(frozen=True, slots=True)
class Theme:
    """Rows, and how to get at what they measure."""

    name: str
    rows: tuple[Row, ...]
    open: Callable[[Stack], AbstractAsyncContextManager[Mapping[str, Measure]]]
    """Prepares the measures, by name, and clears up after them."""
    warms_up: bool = True
    """False where a round is as good as any other from the first on."""
    is_long: bool = False
    """True where it is measured only if its own name asks for it."""
    disk_bytes: int = 0
    """About what it needs in the temporary folder, where that is much."""
    find_lack: Callable[[], str] = str
    """Says what this tree lacks without which it cannot be measured; the empty text where that is nothing."""

    def choose(self, words: Collection[str]) -> tuple[Row, ...]:
        """Return the rows that some words name: the theme, a row, or the first part of a row's name."""
        if self.name in words or not (words or self.is_long):
            return self.rows
        if self.is_long:
            return ()
        return tuple(row for row in self.rows if row.name in words or row.name.partition("-")[0] in words)


def measures_of(rows: Collection[Row]) -> list[str]:
    """List the measures that rows need, each once, limits before what they limit."""
    return list(dict.fromkeys(name for row in rows for name in row.measures))
