"""What an operator asks of old awards at a terminal: to archive them, and to have the record delete them.

Each board gets one line on standard output. What an interrupted command has begun, the next one goes on
with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import click

from score_service.certificates.phrases import number
from score_service.operations.checkpoint import CheckpointError
from score_service.operations.ledgers.archiver import ArchivedBoard, ArchiveRejectedError, LedgerArchiver
from score_service.operations.ledgers.files import LedgerFileError
from score_service.operations.terminal import Bars, do_each, name_each, print_board
from score_service.process.stores import open_database_as_owner
from score_service.reconcile.rebuild.retry_policy import RetryPolicy
from score_service.record.database import Database
from score_service.record.ledger import Ledger
from score_service.settings import ArchiveSettings


@dataclass(frozen=True, slots=True)
class ArchiveRules:
    """What is old enough, and how fast to delete it."""

    older_than: timedelta
    """Awards of this age are archived."""
    forget_after: timedelta | None
    """Ids are forgotten of awards that were archived so long ago; None keeps them for ever."""
    rows_per_second: float
    """So many rows are deleted, at most."""


async def archive(
    settings: ArchiveSettings,
    board_ids: Sequence[str],
    folder: Path,
    rules: ArchiveRules,
    now: datetime,
    *,
    dry_run: bool,
) -> bool:
    """Archive old awards of boards, of all where none is named, and return whether that was done."""

    async def do(board_id: str) -> bool:
        with Bars(board_id) as bars:
            archiver = LedgerArchiver(
                database, RetryPolicy(), rows_per_second=rules.rows_per_second, on_progress=bars.show
            )
            try:
                if dry_run:
                    line = await _plan(archiver, board_id, now - rules.older_than)
                else:
                    line = await _archive(archiver, board_id, folder, rules, now)
            except ArchiveRejectedError as error:
                print_board(board_id, [f"given up, {error}"], [error.findings])
            except (CheckpointError, LedgerFileError, OSError) as error:
                click.echo(f"{board_id}: given up, {error}")
            else:
                click.echo(f"{board_id}: {line}")
                return True
            return False

    database: Database
    async with open_database_as_owner(settings) as database:
        boards = name_each(board_ids) if board_ids else Ledger(database).list_boards()
        return await do_each(boards, do)


async def _plan(archiver: LedgerArchiver, board_id: str, before: datetime) -> str:
    plan = await archiver.plan(board_id, before)
    if plan is None:
        return "there is nothing to archive"
    return f"{number(plan.awards, 'award')} to archive, up to {plan.end.position}"


async def _archive(
    archiver: LedgerArchiver, board_id: str, folder: Path, rules: ArchiveRules, now: datetime
) -> str:
    forget_before = now - rules.forget_after if rules.forget_after else None
    return _describe(await archiver.archive_board(board_id, folder, now - rules.older_than, forget_before))


def _describe(archived: ArchivedBoard) -> str:
    parts = [f"archived up to {archived.cut}" if archived.cut else "there is nothing to archive"]
    if archived.deleted:
        parts.append(f"{number(archived.deleted, 'row')} deleted")
    if archived.forgotten:
        parts.append(f"{number(archived.forgotten, 'id')} forgotten")
    return ", ".join(parts)
