"""Commands of `score-service`: serve, migrate, verify, rebuild and set boards, export ledgers, and more.

Exit codes: 0 done or stopped as asked, 1 failed or not well, 2 wrong usage or settings, 143 ended by SIGTERM
before it was done. What only one command needs is imported by that command, so that each starts soon.
"""

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import click
import structlog

from score_service.domain.board.identifier import is_identifier
from score_service.domain.ledger.position import Position
from score_service.metrics import add_call_fields
from score_service.settings import (
    ArchiveSettings,
    CertificateSettings,
    LogSettings,
    MigrateSettings,
    RecordSettings,
    ServeSettings,
    StoreSettings,
)
from service_runtime.commands import report_failures
from service_runtime.lifecycle import exit_on_sigterm, freeze_gc
from service_runtime.settings import describe, load, reveal
from service_runtime.telemetry.tracing import exporting

_FAILED: Final = 1
_log = structlog.get_logger(__name__)
_command = partial(report_failures, add_context=add_call_fields)
_tool = partial(report_failures, add_context=add_call_fields, logs_to_stderr=True)
"""A command that prints what it did."""


@click.group()
@click.version_option(package_name="laurel", prog_name="score-service")
@click.pass_context
def main(context: click.Context) -> None:
    """Write awards to the record, project them into ranks and stream what changes."""
    # `serve` handles the signal in its own way, and has more to allocate before garbage is worth a look.
    exit_on_sigterm()
    if context.invoked_subcommand != serve.name:
        freeze_gc()


@main.command(epilog=describe(ServeSettings))
@_command(ServeSettings)
def serve() -> None:
    """Serve gRPC with mTLS until SIGTERM or SIGINT. The second signal stops at once."""
    import uvloop  # noqa: PLC0415

    from score_service.process import server  # noqa: PLC0415

    settings = load(ServeSettings)
    with exporting("score-service"), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve(settings))


@main.command(epilog=describe(MigrateSettings))
@_command(MigrateSettings)
def migrate() -> None:
    """Upgrade the record's schema to the newest revision, as the owner role."""
    from score_service.record.migrate import MIGRATION  # noqa: PLC0415

    settings = load(MigrateSettings)
    MIGRATION.upgrade(settings.migration_dsn, reveal(settings.migration_password_file))
    _log.info("schema_upgraded")


def _check_boards(
    _context: click.Context, _parameter: click.Parameter, board_ids: Sequence[str]
) -> Sequence[str]:
    for board_id in board_ids:
        if not is_identifier(board_id):
            raise click.BadParameter(f"{board_id!r} can be no board")
    return board_ids


_boards = click.argument("board_ids", metavar="[BOARD]...", nargs=-1, callback=_check_boards)


@main.command(epilog=describe(StoreSettings))
@_boards
@click.option("--record-only", is_flag=True, help="Leave Redis out; then it needs no settings.")
@click.option(
    "--checkpoints",
    type=click.Path(path_type=Path, exists=True, file_okay=False, writable=True),
    help="Read each ledger from its checkpoint in this folder on, if it has one there, and keep a new one.",
)
@_tool(LogSettings)
def verify(board_ids: Sequence[str], *, record_only: bool, checkpoints: Path | None) -> None:
    """Check the ledger's digest chain, the standings and the projection of boards: without names, of all.

    It changes no store, and awards go on. Ends with 1 where something differs or could not be checked.
    """
    from score_service.operations import boards  # noqa: PLC0415

    settings = load(RecordSettings if record_only else StoreSettings)
    _end(asyncio.run(boards.verify(settings, board_ids, checkpoints)))


@main.command(epilog=describe(StoreSettings))
@_boards
@click.option("--all", "all_boards", is_flag=True, help="Rebuild every board.")
@_tool(StoreSettings)
def rebuild(board_ids: Sequence[str], *, all_boards: bool) -> None:
    """Rebuild the projections of boards from the record, while reads and awards go on."""
    if all_boards == bool(board_ids):
        raise click.UsageError("name the boards, or give --all")
    from score_service.operations import boards  # noqa: PLC0415

    _end(asyncio.run(boards.rebuild(load(StoreSettings), board_ids)))


@main.group("boards")
def boards_() -> None:
    """Change settings of boards."""


@boards_.command("apply", epilog=describe(RecordSettings))
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Say what would change, and from when, and change nothing.")
@_tool(RecordSettings)
def apply(file: Path, *, dry_run: bool) -> None:
    """Give boards the settings that FILE names, in TOML: all of them, or none if any cannot be.

    Settings and boards that it does not name stay as they are. Ends with 1 where something cannot be.
    """
    from score_service.operations import board_settings  # noqa: PLC0415

    settings = load(RecordSettings)
    _end(asyncio.run(board_settings.apply(settings, board_settings.read_file(file), dry_run=dry_run)))


def _check_board(_context: click.Context, _parameter: click.Parameter, board_id: str) -> str:
    return _check_boards(_context, _parameter, [board_id])[0]


def _parse_position(
    _context: click.Context, _parameter: click.Parameter, text: str | None
) -> Position | None:
    position = Position.parse(text) if text else None
    if text and not position:
        raise click.BadParameter(f"{text!r} is no position, such as 5-67e71c25fd0a1f5e")
    return position


_board = click.argument("board_id", metavar="BOARD", callback=_check_board)
_folder = click.argument(
    "folder", type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True)
)


@main.group("ledger")
def ledger() -> None:
    """Keep the ledgers of boards in files, check these, and archive old awards."""


@ledger.command("export", epilog=describe(RecordSettings))
@_board
@_folder
@click.option("--upto", metavar="POSITION", callback=_parse_position, help="Where to end [the end].")
@_tool(RecordSettings)
def export(board_id: str, folder: Path, upto: Position | None) -> None:
    """Write what the ledger of BOARD has, and its files in FOLDER do not have yet, into more of them.

    It changes no store, and awards go on. It may be interrupted: whole files stay. Ends with 1 where it
    cannot be done.
    """
    from score_service.operations.ledgers import export as ledger_export  # noqa: PLC0415

    _end(asyncio.run(ledger_export.export(load(RecordSettings), board_id, folder, upto)))


@ledger.command("verify", epilog=describe(RecordSettings))
@_board
@_folder
@click.option(
    "--record", is_flag=True, help="See whether the record was at their end; this needs the settings."
)
@_tool(LogSettings)
def verify_files(board_id: str, folder: Path, *, record: bool) -> None:
    """Check the chain of digests of BOARD through its files in FOLDER, from its first entry on.

    Ends with 1 where it does not hold.
    """
    from score_service.operations.ledgers import export as ledger_export  # noqa: PLC0415

    settings = load(RecordSettings) if record else None
    _end(asyncio.run(ledger_export.verify(settings, board_id, folder)))


@ledger.command("archive", epilog=describe(ArchiveSettings))
@_folder
@_boards
@click.option(
    "--older-than",
    metavar="DAYS",
    type=click.IntRange(min=30, max=36_500),
    required=True,
    help="Archive awards of this age, at least 30 days.",
)
@click.option(
    "--forget-ids-after",
    metavar="DAYS",
    type=click.IntRange(min=90, max=36_500),
    help="Forget the ids of awards so long after these were archived, at least 90 days [never]. An id that "
    "was forgotten can be awarded again.",
)
@click.option(
    "--rows-per-second",
    metavar="NUMBER",
    type=click.IntRange(min=1),
    default=10_000,
    show_default=True,
    help="Delete so many rows in a second, at most.",
)
@click.option("--dry-run", is_flag=True, help="Say how many awards would be archived, and change nothing.")
@_tool(ArchiveSettings)
def archive(
    folder: Path,
    board_ids: Sequence[str],
    *,
    older_than: int,
    forget_ids_after: int | None,
    rows_per_second: int,
    dry_run: bool,
) -> None:
    """Move old awards of boards from the record into files in FOLDER: without names, of all boards.

    The ledger up to the cut is checked, and written into files there, before anything is deleted. Awards
    go on. It may be interrupted, and goes on when it is run again. Ends with 1 where it cannot be done.
    """
    if forget_ids_after is not None and forget_ids_after <= older_than:
        raise click.UsageError("--forget-ids-after has to be more than --older-than")
    from score_service.operations.ledgers import archive as ledger_archive  # noqa: PLC0415

    rules = ledger_archive.ArchiveRules(
        timedelta(days=older_than),
        None if forget_ids_after is None else timedelta(days=forget_ids_after),
        rows_per_second,
    )

    settings, now = load(ArchiveSettings), datetime.now(UTC)
    _end(asyncio.run(ledger_archive.archive(settings, board_ids, folder, rules, now, dry_run=dry_run)))


@main.group("certs")
def certificates() -> None:
    """Look at certificates."""


_file = click.Path(path_type=Path, dir_okay=False)


@certificates.command(epilog=describe(CertificateSettings))
@click.argument("folder", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--certificate", type=_file, help="The certificate and its chain, PEM [FOLDER/tls.crt].")
@click.option("--key", type=_file, help="Its private key, PEM [FOLDER/tls.key].")
@click.option("--authorities", type=_file, help="Who is trusted, PEM [FOLDER/ca.crt].")
@click.option("--as", "role", type=click.Choice(["server", "client"]), default="server", show_default=True)
@click.option("--policy", type=_file, help="Say what this policy allows the client.")
@_tool(LogSettings)
def check(
    folder: Path | None,
    certificate: Path | None,
    key: Path | None,
    authorities: Path | None,
    role: str,
    policy: Path | None,
) -> None:
    """Report what certificate files are, and whether they will do.

    FOLDER is as cert-manager makes it. Without it and without files, those of the settings are looked at.
    Nothing of the key is shown. Ends with 1 where something is wrong; a warning is not.
    """
    if policy and role == "server":
        raise click.UsageError("a policy is about clients: add --as client")
    given = certificate, key, authorities
    if not folder and any(given) and not all(given):
        raise click.UsageError("name all three files, or a folder")
    from score_service.operations import certs  # noqa: PLC0415

    settings = load(LogSettings if folder or certificate else CertificateSettings)
    files = certs.choose_files(settings, folder, certificate, key, authorities)
    _end(certs.check(files, role, policy, datetime.now(UTC)))


def _end(is_well: bool) -> None:  # noqa: FBT001  # The one thing that decides.
    if not is_well:
        sys.exit(_FAILED)
