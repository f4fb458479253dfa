"""What an operator asks of the ledgers of boards at a terminal: to keep them in files, and to check these.

Each file gets a line on standard output. A command that was interrupted leaves whole files, and the next one
goes on after the last of them.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from score_service.certificates.phrases import number
from score_service.domain.ledger.position import Position
from score_service.errors import BoardNotFoundError, RecordUnavailableError
from score_service.operations.bulk_reads import BulkReads
from score_service.operations.chain import LedgerStep
from score_service.operations.ledgers.files import (
    Head,
    LedgerFile,
    LedgerFileError,
    LedgerFileWriter,
    claim_files,
    list_files,
    read_files,
)
from score_service.process.stores import open_database
from score_service.reconcile.rebuild.retry_policy import RetryPolicy
from score_service.record.archive import Archive, Cut
from score_service.record.database import Database
from score_service.record.ledger import Ledger
from score_service.settings import RecordSettings

_PAGE: Final = 1000
_REVISIONS_A_FILE: Final = 1_000_000
"""And what is left of the commit that reaches it."""


class LedgerExporter:
    """Writes the ledger of a board into files."""

    def __init__(self, database: Database, retries: RetryPolicy) -> None:
        self._fetch_all = BulkReads(database, retries).fetch_all
        self._ledger = Ledger(database)
        self._archive = Archive(database)
        self._retries = retries

    async def export_board(
        self, board_id: str, folder: Path, upto: Position | None = None
    ) -> AsyncIterator[LedgerFile]:
        """Write what the files of a board do not have yet; yield each file when it is whole.

        Args:
            board_id: the board.
            folder: where its files are.
            upto: where to end; where the ledger ends now if it is None.

        Raises:
            BoardNotFoundError: the record has no such board.
            LedgerFileError: another export of the board writes there, the last file is not what was written
                or ends before the cut, the ledger does not go on from it or was never at `upto`, or its chain
                does not hold.
            OSError: a file cannot be read or written.
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        with claim_files(folder, board_id):
            end = upto or await self._ledger.read_head(board_id)
            head = Head.start(board_id)
            if files := list_files(folder, board_id):
                _, head = files[-1].read()
            await self._require_rows(board_id, head.revision)
            for position in (head.position, end):
                if not await self._ledger.has_position(board_id, position):
                    raise LedgerFileError(f"the ledger of {board_id} was never at {position}")
            while head.revision < end.revision:
                with LedgerFileWriter(folder, board_id, head) as writer:
                    await self._write(writer, board_id, end.revision)
                    head = writer.head
                    file = writer.finish()
                yield file

    async def _write(self, writer: LedgerFileWriter, board_id: str, upto_revision: int) -> None:
        """Write commits up to a revision, or until the file is full."""
        after = writer.head.revision
        full_at = min(after + _REVISIONS_A_FILE, upto_revision)
        while writer.head.revision < full_at:
            page = await self._read_page(board_id, after, upto_revision)
            await self._require_rows(board_id, after)
            if not page:
                raise LedgerFileError(f"the ledger of {board_id} lacks revision {after + 1:,}")
            for row in page:
                award, entry, commit = LedgerStep.of(row)
                if award:
                    writer.add_row(award)
                if entry:
                    writer.add_row(entry)
                after = row["revision"]
                if commit:
                    writer.add_commit(commit)
                    if after >= full_at:
                        break

    async def _read_page(self, board_id: str, after: int, upto_revision: int) -> Sequence[Mapping[str, Any]]:
        parameters = {
            "board_id": board_id,
            "after_revision": after,
            "upto_revision": upto_revision,
            "limit": _PAGE,
        }
        return await self._fetch_all("read_ledger", parameters)

    async def _require_rows(self, board_id: str, after: int) -> None:
        """Require that nothing after a revision is archived: it may be deleted at any time."""
        cut = await self._retries.ask(self._archive.read_cut, board_id)
        if cut and after < cut.revision:
            raise LedgerFileError(
                f"the ledger of {board_id} is archived up to {_position(cut)}: only files that reach it go on"
            )


def _position(cut: Cut) -> Position | str:
    return Position.of(cut.revision, cut.digest) if cut.digest else f"revision {cut.revision:,}"


async def export(settings: RecordSettings, board_id: str, folder: Path, upto: Position | None) -> bool:
    """Keep the ledger of a board in files, and return whether that was done. Raises OSError for a file."""
    try:
        async with open_database(settings) as database:
            async for file in LedgerExporter(database, RetryPolicy()).export_board(board_id, folder, upto):
                click.echo(
                    f"{board_id}: revisions {file.after_revision + 1:,} to {file.last_revision:,} kept"
                )
    except BoardNotFoundError:
        click.echo(f"{board_id}: given up, the record has no such board")
    except RecordUnavailableError:
        click.echo(f"{board_id}: given up, PostgreSQL is unavailable")
    except LedgerFileError as error:
        click.echo(f"{board_id}: given up, {error}")
    else:
        click.echo(f"{board_id}: the files are as far as asked for")
        return True
    return False


async def verify(settings: RecordSettings | None, board_id: str, folder: Path) -> bool:
    """Check the files of a board, and return whether the chain holds from its first entry to the last.

    And on into the record where settings say how to reach it. Raises OSError for a file.
    """
    try:
        heads = list(read_files(folder, board_id))
    except LedgerFileError as error:
        click.echo(f"{board_id}: {error}")
        return False
    if not heads:
        click.echo(f"{board_id}: there are no files in {folder}")
        return False
    head, entries = heads[-1], number(heads[-1].revision, "entry", "entries")
    line = f"{board_id}: {entries} in {number(len(heads), 'file')} up to {head.position}, chain holds"
    if settings is None:
        click.echo(line)
        return True
    return await _compare(settings, board_id, head, line)


async def _compare(settings: RecordSettings, board_id: str, head: Head, line: str) -> bool:
    async with open_database(settings) as database:
        try:
            goes_on = await Ledger(database).has_position(board_id, head.position)
            cut = await Archive(database).read_cut(board_id)
        except RecordUnavailableError:
            click.echo(f"{line}; record not checked, PostgreSQL is unavailable")
            return False
    if goes_on:
        found = "and goes on in the record"
    elif cut and head.revision < cut.revision:
        found = f"the record is archived up to {_position(cut)}, and what is between is missing"
    else:
        found = "the record was never there"
    click.echo(f"{line}; {found}")
    return goes_on
