"""The command `python -m faults`, which `make faults` runs.

Exit codes: 0 nothing was found; 1 something was found, or the run could not go on: a part did not come back,
or something else that was waited for did not come; 2 wrong usage; 130 interrupted.
"""

import asyncio
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.text import Text

from faults.report import keep_evidence, make_figures, make_table
from faults.run import Plan, Run
from local_stack.errors import LocalStackError
from local_stack.terminal import Terminal

_PLAIN_WIDTH: Final = 160
_SEEDS: Final = 1 << 32
_INTERRUPTED: Final = 130
_FINDINGS_SHOWN: Final = 60


@click.command(context_settings={"max_content_width": 110})
@click.option("--seed", envvar="SEED", type=click.IntRange(0), help="Of faults and load; drawn by default.")
@click.option(
    "--minutes",
    envvar="MINUTES",
    type=click.FloatRange(0.1, 24 * 60),
    default=5.0,
    show_default=True,
    help="For which faults are begun.",
)
@click.option(
    "--json",
    "json_path",
    envvar="FAULTS_JSON",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Gets the figures.",
)
@click.option(
    "--folder",
    envvar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Gets all data, logs and the history; it must not exist. By default they are kept on findings only.",
)
def main(seed: int | None, minutes: float, json_path: Path | None, folder: Path | None) -> None:
    """Break a real stack under load, and judge it; Ctrl-C ends it in order."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    if seed is None:
        seed = random.SystemRandom().randrange(_SEEDS)
    run = Run(Plan(seed, minutes * 60), _make_folder(folder), _Progress(console))
    console.print(Text(f"Seed {seed}, {minutes:g} minutes, in {run.folder}"))
    try:
        asyncio.run(run.execute())
    except KeyboardInterrupt:
        shutil.rmtree(run.folder, ignore_errors=True)
        sys.exit(_INTERRUPTED)
    except BaseException as error:
        keep_evidence(run, make_figures(run))
        Terminal().complain(f"The run broke; logs and history are in {run.folder}")
        reasons = _list_reasons(error)
        if not all(isinstance(reason, LocalStackError) for reason in reasons):
            raise
        for reason in reasons:
            Terminal().complain(str(reason))
        sys.exit(1)
    sys.exit(_conclude(run, console, json_path, keep=folder is not None))


class _Progress:
    """A line for each event, with the time since the start."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()

    def __call__(self, line: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        self._console.print(Text.assemble((f"{minutes:3}:{seconds:02}  ", "dim"), line))


def _make_folder(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="laurel-faults-"))
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise click.UsageError(f"{folder} cannot be made: {error.strerror}") from error
    return folder.resolve()


def _list_reasons(error: BaseException) -> list[BaseException]:
    """Return the errors of a group, or the one error."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [reason for inner in error.exceptions for reason in _list_reasons(inner)]


def _conclude(run: Run, console: Console, json_path: Path | None, *, keep: bool) -> int:
    figures = make_figures(run)
    if json_path:
        json_path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    console.print()
    console.print(make_table(figures))
    if run.findings.total or keep:
        keep_evidence(run, figures)
        console.print(Text(f"\nLogs, history and data are kept in {run.folder}"))
    else:
        shutil.rmtree(run.folder)
    for line in run.findings.describe()[:_FINDINGS_SHOWN]:
        console.print(Text(line, "red"))
    return bool(run.findings.total)


if __name__ == "__main__":
    main(prog_name="faults")
