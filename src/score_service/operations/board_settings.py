"""What an operator asks of the settings of boards at a terminal: to make them as a file says.

Each board gets a line on standard output, and one more for each setting that is changed or cannot be.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from score_service.boards.board_editor import BoardEditor, BoardsPlan, SettingsPlan
from score_service.errors import OverloadedError, RecordUnavailableError
from score_service.periods.boards_file import BoardsFile
from score_service.periods.settings_change import SettingChange, write_instant
from score_service.process.stores import open_database
from score_service.record.boards import BoardStore
from score_service.record.periods import PeriodStore
from score_service.settings import RecordSettings
from service_runtime.errors import SetupError

ACTOR: Final = "score-service boards apply"
"""Who changes settings, in the ledger."""


def read_file(path: Path) -> BoardsFile:
    """Read a file. Raises SetupError with all its faults, each with its place."""
    try:
        return BoardsFile.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise SetupError([f"{path.name}: must be a readable text file"]) from None
    except SetupError as error:
        raise SetupError([f"{path.name}: {fault}" for fault in error.faults]) from None


async def apply(settings: RecordSettings, file: BoardsFile, *, dry_run: bool) -> bool:
    """Make boards as a file says, or say what that would change; return whether nothing stood against it."""
    async with open_database(settings) as database:
        editor = BoardEditor(BoardStore(database), PeriodStore(database))
        try:
            if dry_run:
                plan = await editor.plan(file.boards, file.default)
            else:
                plan = await editor.apply(file.boards, file.default, actor=ACTOR)
        except RecordUnavailableError:
            click.echo("given up, PostgreSQL is unavailable; whether anything was changed is unknown")
            return False
        except OverloadedError:
            click.echo("nothing was changed: others change the same boards, try again")
            return False
    for line in _describe(plan):
        click.echo(line)
    if plan.has_faults:
        click.echo("nothing was changed")
    elif dry_run:
        click.echo("nothing was changed, as asked")
    return not plan.has_faults


def _describe(plan: BoardsPlan) -> Iterator[str]:
    if plan.default is not None:
        yield from _describe_settings("default", plan.default)
    for board_id, settings in plan.boards.items():
        is_new = settings.board is None and not settings.faults
        yield from _describe_settings(f"board {board_id}", settings, "a new board" if is_new else "")


def _describe_settings(name: str, plan: SettingsPlan, remark: str = "") -> Iterator[str]:
    if not plan.faults and not plan.changes:
        yield f"{name}: {remark or 'as it is'}"
        return
    yield f"{name}: {remark}" if remark else f"{name}:"
    for fault in plan.faults:
        # In the file each season is a table of its own.
        yield f"  WRONG {fault.field.replace('seasons', 'season')}: {fault.rule}"
    for change in plan.changes:
        yield f"  {_describe_change(change)}"


def _describe_change(change: SettingChange) -> str:
    begins = "" if change.effective_at is None else f", from {write_instant(change.effective_at)} on"
    return f"{change.field.replace('seasons', 'season')}: {change.before} -> {change.after}{begins}"
