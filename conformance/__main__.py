"""The command `python -m conformance`, which `make conformance` runs.

Exit codes: 0 no rule is violated; 1 one is; 2 wrong usage; 130 interrupted.
"""

import asyncio
import json
import shlex
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from conformance.adapter.process import AdapterFault
from conformance.cases.case import PAGE, Case
from conformance.report import describe, make_figures, summarize
from conformance.run import ANSWER_SECONDS, CASES, Outcome, Verdict, try_cases

_INTERRUPTED: Final = 130
_KIT: Final = f"{PAGE}#the-conformance-kit"


@click.command(context_settings={"max_content_width": 110})
@click.argument("target")
@click.option("--cases", "names", envvar="CASES", help="Tries these alone: their names, with commas.")
@click.option(
    "--answer-seconds",
    type=click.FloatRange(0, min_open=True),
    default=ANSWER_SECONDS,
    show_default=True,
    help="How long the adapter may take to answer.",
)
@click.option(
    "--json",
    "json_path",
    envvar="CONFORMANCE_JSON",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Gets the report for programs.",
)
def main(target: str, names: str | None, answer_seconds: float, json_path: Path | None) -> None:
    """Check whether the client behind TARGET keeps the rules of docs/clients.md.

    TARGET is the command of an adapter, with its arguments.
    """
    command, cases = _read_command(target), _choose(names)
    if json_path and not json_path.parent.is_dir():
        raise click.UsageError(f"There is no folder {str(json_path.parent)!r}.")
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        verdicts = asyncio.run(_run(cases, command, answer_seconds))
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except AdapterFault as fault:
        raise click.UsageError(f"TARGET does not speak as an adapter does, see {_KIT}: {fault}") from fault
    if json_path:
        figures = make_figures(command, verdicts)
        json_path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    sys.exit(any(verdict.outcome is Outcome.VIOLATED for verdict in verdicts))


def _read_command(target: str) -> Sequence[str]:
    try:
        command = shlex.split(target)
    except ValueError as error:
        raise click.UsageError(f"TARGET is no command: {error}") from error
    if not command or not shutil.which(command[0]):
        raise click.UsageError(f"TARGET is no command that can be run: {target!r}")
    return command


def _choose(names: str | None) -> Sequence[Case]:
    if not names:
        return CASES
    known = {case.name: case for case in CASES}
    chosen = [name.strip() for name in names.split(",")]
    if unknown := [name for name in chosen if name not in known]:
        raise click.UsageError(f"There is no case {unknown[0]!r}. There are {', '.join(known)}.")
    return [known[name] for name in chosen]


async def _run(cases: Sequence[Case], command: Sequence[str], answer_seconds: float) -> list[Verdict]:
    console = Console(highlight=False, soft_wrap=True)
    verdicts = []
    async for verdict in try_cases(cases, command, answer_seconds=answer_seconds):
        console.print(describe(verdict))
        verdicts.append(verdict)
    console.print(f"\n{summarize(verdicts)}")
    return verdicts


if __name__ == "__main__":
    main(prog_name="conformance")
