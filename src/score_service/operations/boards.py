"""What an operator asks of the boards at a terminal: to verify them, or to rebuild their projections.

Each board gets one line on standard output, and one more for each of the first faults. A bar on standard
error shows the progress where that is a terminal.
"""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Final

import click

from score_service.certificates.phrases import number, plain
from score_service.domain.findings import Findings
from score_service.errors import (
    BoardNotFoundError,
    ProjectionUnavailableError,
    RecordUnavailableError,
    ScoreServiceError,
)
from score_service.operations.chain import Chain
from score_service.operations.checkpoint import (
    CheckpointError,
    checkpoint_file,
    read_checkpoint,
    write_checkpoint,
)
from score_service.operations.verifier import VerifiedRecord, Verifier
from score_service.process.stores import open_bulk_projection, open_database
from score_service.reconcile.auditor import Auditor, BoardAudit
from score_service.reconcile.census import Census
from score_service.reconcile.patience import Patience
from score_service.reconcile.rebuilder import Rebuilder
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore
from score_service.record.standings import Standings
from score_service.settings import RecordSettings, StoreSettings

_WHY: Final[Mapping[type[ScoreServiceError], str]] = {
    BoardNotFoundError: "the record has no such board",
    ProjectionUnavailableError: "Redis is unavailable",
    RecordUnavailableError: "PostgreSQL is unavailable",
}
_NOUNS: Final = {
    "period_closed": "closed period",
    "settings": "settings change",
    "visibility": "visibility change",
}
"""What kinds of entries are called that are not called by their names."""


async def verify(settings: RecordSettings, board_ids: Sequence[str], checkpoints: Path | None = None) -> bool:
    """Verify boards, all of them where none is named, and return whether all is well.

    The projection is compared with the record where the settings say how to reach it.

    Args:
        settings: how to reach the stores.
        board_ids: which boards.
        checkpoints: a folder with checkpoints of boards. The ledger of a board that has one is read from
            there on, and a board whose record is well gets a new one.

    Raises:
        OSError: a checkpoint cannot be read or written.
    """
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings))
        standings, patience = Standings(database), Patience()
        verifier, auditor = Verifier(database, standings, patience), None
        if isinstance(settings, StoreSettings):
            projection = await stack.enter_async_context(open_bulk_projection(settings))
            auditor = Auditor(Ledger(database), standings, PeriodStore(database), projection, patience)
        return await _do_each(
            _named(board_ids) if board_ids else verifier.find_boards(),
            lambda board_id: _verify_board(verifier, auditor, board_id, checkpoints),
        )


async def rebuild(settings: StoreSettings, board_ids: Sequence[str]) -> bool:
    """Rebuild boards, all of them where none is named, and return whether that was done."""
    async with open_database(settings) as database, open_bulk_projection(settings) as projection:
        ledger, standings, patience = Ledger(database), Standings(database), Patience()
        rebuilder = Rebuilder(ledger, standings, PeriodStore(database), projection, patience)
        census = Census(ledger, standings, patience)
        return await _do_each(
            _named(board_ids) if board_ids else ledger.list_boards(),
            lambda board_id: _rebuild_board(ledger, census, rebuilder, board_id),
        )


async def _do_each(boards: AsyncIterator[str], do: Callable[[str], Awaitable[bool]]) -> bool:
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
    except tuple(_WHY) as error:
        click.echo(f"{board_id}: given up, {_WHY[type(error)]}")
        return False


async def _named(board_ids: Sequence[str]) -> AsyncIterator[str]:
    for board_id in board_ids:
        yield board_id


async def _verify_board(
    verifier: Verifier, auditor: Auditor | None, board_id: str, checkpoints: Path | None
) -> bool:
    path = checkpoints and checkpoint_file(checkpoints, board_id)
    try:
        chain = read_checkpoint(path, board_id) if path and path.exists() else Chain(board_id, Findings())
    except CheckpointError as error:
        click.echo(f"{board_id}: given up, {error}")
        return False
    start = chain.position
    with _Bars(board_id) as bars:
        record = await verifier.verify_board(board_id, bars.show, chain)
        lines = [_describe_record(record)]
        if start.revision:
            lines.append(f"read from the checkpoint at {start} on")
        if path and not record.findings:
            write_checkpoint(path, chain)
        found = [record.findings]
        is_well = not record.findings
        if auditor:
            try:
                audit = await auditor.audit_board(board_id, bars.show)
            except tuple(_WHY) as error:
                lines.append(f"projection not checked, {_WHY[type(error)]}")
                is_well = False
            else:
                lines.append(_describe_projection(audit))
                found.append(audit.findings)
    _print(board_id, lines, found)
    return is_well and not any(found)


async def _rebuild_board(ledger: Ledger, census: Census, rebuilder: Rebuilder, board_id: str) -> bool:
    await ledger.read_head(board_id)  # An unavailable record is not waited for at the start.
    _, members = await census.count_members(board_id)
    done = 0

    with _Bars(board_id) as bars:

        def show(loaded: int) -> None:
            nonlocal done
            done += loaded
            bars.show("rebuild", done, members)

        rebuilt = await rebuilder.rebuild(board_id, on_progress=show)
    if rebuilt is None:
        click.echo(f"{board_id}: given up, another one was faster or a store stepped back meanwhile")
        return False
    click.echo(f"{board_id}: {number(rebuilt.standings, 'standing')} rebuilt at {rebuilt.position}")
    return True


def _describe_record(record: VerifiedRecord) -> str:
    entries = _describe_entries(record.kinds)
    chain = f"{entries} in {number(record.commits, 'commit')} up to {record.position}"
    standings = number(record.standings, "standing")
    if record.findings:
        return f"{chain}; {standings}; {number(len(record.findings), 'fault')} in the record"
    return f"{chain}, chain holds; {standings} as the ledger says"


def _describe_entries(kinds: Mapping[str, int]) -> str:
    entries = number(sum(kinds.values()), "entry", "entries")
    of_kinds = [number(count, _NOUNS.get(kind, plain(kind))) for kind, count in sorted(kinds.items())]
    return f"{entries} ({', '.join(of_kinds)})" if of_kinds else entries


def _describe_projection(audit: BoardAudit) -> str:
    if audit.findings:
        return f"{number(len(audit.findings), 'fault')} in the projection"
    return "projection as the record, 0 differ"


def _print(board_id: str, lines: Sequence[str], found: Sequence[Findings]) -> None:
    click.echo(f"{board_id}: {'; '.join(lines)}")
    for findings in found:
        for finding in findings.kept:
            click.echo(f"  {finding}")
        if len(findings) > len(findings.kept):
            click.echo(f"  and {len(findings) - len(findings.kept):,} more")


class _Bars(ExitStack):
    """Bars of progress, one after the other; nothing where standard error is no terminal."""

    def __init__(self, board_id: str) -> None:
        super().__init__()
        self._board_id = board_id
        self._what = ""

    def show(self, what: str, done: int, length: int) -> None:
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
