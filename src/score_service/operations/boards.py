"""What an operator asks of the boards at a terminal: to verify them, or to rebuild their projections.

Each board gets one line on standard output, and one more for each of the first faults. A bar on standard
error shows the progress where that is a terminal.
"""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import click

from score_service.certificates.phrases import number, plain
from score_service.domain.ledger.position import Position
from score_service.operations.checkpoint import (
    CheckpointError,
    checkpoint_file,
    read_checkpoint,
    write_checkpoint,
)
from score_service.operations.terminal import WHY, Bars, do_each, name_each, print_board
from score_service.operations.verifier import VerifiedRecord, Verifier
from score_service.process.stores import open_bulk_projection, open_database
from score_service.reconcile.auditor import Auditor, BoardAudit
from score_service.reconcile.rebuild.census import Census
from score_service.reconcile.rebuild.rebuilder import Rebuilder
from score_service.reconcile.rebuild.retry_policy import RetryPolicy
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore
from score_service.record.standings import Standings
from score_service.settings import RecordSettings, StoreSettings

_NOUNS: Final = {
    "archived": "cut",
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
        standings, retries = Standings(database), RetryPolicy()
        verifier, auditor = Verifier(database, standings, retries), None
        if isinstance(settings, StoreSettings):
            projection = await stack.enter_async_context(open_bulk_projection(settings))
            auditor = Auditor(Ledger(database), standings, PeriodStore(database), projection, retries)
        return await do_each(
            name_each(board_ids) if board_ids else verifier.find_boards(),
            lambda board_id: _verify_board(verifier, auditor, board_id, checkpoints),
        )


async def rebuild(settings: StoreSettings, board_ids: Sequence[str]) -> bool:
    """Rebuild boards, all of them where none is named, and return whether that was done."""
    async with open_database(settings) as database, open_bulk_projection(settings) as projection:
        ledger, standings, retries = Ledger(database), Standings(database), RetryPolicy()
        rebuilder = Rebuilder(ledger, standings, PeriodStore(database), projection, retries)
        census = Census(ledger, standings, retries)
        return await do_each(
            name_each(board_ids) if board_ids else ledger.list_boards(),
            lambda board_id: _rebuild_board(ledger, census, rebuilder, board_id),
        )


async def _verify_board(
    verifier: Verifier, auditor: Auditor | None, board_id: str, checkpoints: Path | None
) -> bool:
    path = checkpoints and checkpoint_file(checkpoints, board_id)
    with Bars(board_id) as bars:
        try:
            chain = read_checkpoint(path, board_id) if path and path.exists() else None
            start = chain.position if chain else Position.start(board_id)
            record = await verifier.verify_board(board_id, bars.show, chain)
        except CheckpointError as error:
            click.echo(f"{board_id}: given up, {error}")
            return False
        lines = [_describe_record(record)]
        if record.cut:
            lines.append(f"read from the cut at {record.cut} on")
        elif start.revision:
            lines.append(f"read from the checkpoint at {start} on")
        if path and not record.findings:
            write_checkpoint(path, record.chain)
        found = [record.findings]
        is_well = not record.findings
        if auditor:
            try:
                audit = await auditor.audit_board(board_id, bars.show)
            except tuple(WHY) as error:
                lines.append(f"projection not checked, {WHY[type(error)]}")
                is_well = False
            else:
                lines.append(_describe_projection(audit))
                found.append(audit.findings)
    print_board(board_id, lines, found)
    return is_well and not any(found)


async def _rebuild_board(ledger: Ledger, census: Census, rebuilder: Rebuilder, board_id: str) -> bool:
    await ledger.read_head(board_id)  # An unavailable record is not waited for at the start.
    _, members = await census.count_members(board_id)
    done = 0

    with Bars(board_id) as bars:

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
