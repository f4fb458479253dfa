"""What commands about boards show: a line for each board, and bars of progress on standard error."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Final

import click

from score_service.certificates.phrases import number
from score_service.domain.ledger.findings import Findings
from score_service.errors import (
    BoardNotFoundError,
    ProjectionUnavailableError,
    RecordUnavailableError,
    ScoreServiceError,
)

WHY: Final[Mapping[type[ScoreServiceError], str]] = {
    BoardNotFoundError: "the record has no such board",
    ProjectionUnavailableError: "Redis is unavailable",
    RecordUnavailableError: "PostgreSQL is unavailable",
}
"""Why a board is given up, in words."""


async def do_each(boards: AsyncIterator[str], do: Callable[[str], Awaitable[bool]]) -> bool:
    """Do something with each board, whatever becomes of the others."""
    count = failed = 0
    try:
        async for board_id in boards:
            count += 1
            failed += not await _try(board_id, do(board_id))
    except RecordUnavailableError:
        click.echo("the boards cannot be listed: PostgreSQL is unavailable")
        return False
    if count != 1:
        click.echo(f"{number(count, 'board')}, {f'{failed:,} of them not well' if failed else 'all well'}")
    return not failed


async def _try(board_id: str, work: Awaitable[bool]) -> bool:
    try:
        return await work
    except tuple(WHY) as error:
        click.echo(f"{board_id}: given up, {WHY[type(error)]}")
        return False


async def name_each(board_ids: Sequence[str]) -> AsyncIterator[str]:
    """Name boards, as the record does."""
    for board_id in board_ids:
        yield board_id


def print_board(board_id: str, lines: Sequence[str], found: Sequence[Findings]) -> None:
    """Show the line of a board, and one for each of its first faults."""
    click.echo(f"{board_id}: {'; '.join(lines)}")
    for findings in found:
        for finding in findings.kept:
            click.echo(f"  {finding}")
        if len(findings) > len(findings.kept):
            click.echo(f"  and {len(findings) - len(findings.kept):,} more")


class Bars(ExitStack):
    """Bars of progress, one after the other; nothing where standard error is no terminal."""

    def __init__(self, board_id: str) -> None:
        super().__init__()
        self._board_id = board_id
        self._what = ""

    def show(self, what: str, done: int, length: int) -> None:
        """Take how far something is: see `Progress`."""
        if what != self._what:
            self.close()
            self._what = what
            label = f"{self._board_id}: {what}"
            bar = click.progressbar(
                length=length, label=label, file=sys.stderr, hidden=not sys.stderr.isatty()
            )
            self._bar = self.enter_context(bar)
        self._bar.length = max(length, done)
        self._bar.update(done - self._bar.pos)
