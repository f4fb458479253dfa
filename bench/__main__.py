"""The command `python -m bench`, which `make bench` runs.

Exit codes: 0 measured, whether or not every target is met; 1 something broke; 2 wrong usage; 130 interrupted.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.text import Text

from bench.clients.node import NODE
from bench.comparing.comparison import Comparison
from bench.comparing.peer import PeerError, make_peer_theme
from bench.comparing.worktree import checked_out, find_commit, this_tree
from bench.edge.edge import EDGE
from bench.edge.overload import OVERLOAD
from bench.edge.sockets import SOCKETS
from bench.ledgers.size import LedgerSize, LedgerSizeError
from bench.ledgers.theme import make_ledger_theme
from bench.report.table import make_comparison, make_report, make_table
from bench.session.session import BUSY, Plan, Session
from bench.stack.machine import describe_machine, describe_versions
from bench.stack.stack import running_stack
from bench.themes.calls import CALLS
from bench.themes.corrections import CORRECTIONS, REVERSAL_PLAN
from bench.themes.feeding import FEED
from bench.themes.periods.closing import CLOSING
from bench.themes.periods.rollover import ROLLOVER
from bench.themes.ranks import RANKS
from bench.themes.reads import READS
from bench.themes.rebuilding import REBUILD, REBUILD_HUGE
from bench.themes.starting import START
from bench.themes.theme import Theme
from bench.themes.watching import CROWD, WATCH
from bench.themes.writes import WRITES
from local_stack.errors import LocalStackError
from local_stack.terminal import Terminal

THEMES: Final[tuple[Theme, ...]] = (
    CALLS,
    WRITES,
    RANKS,
    WATCH,
    CROWD,
    NODE,
    FEED,
    ROLLOVER,
    EDGE,
    SOCKETS,
    READS,
    OVERLOAD,
    REBUILD,
    REBUILD_HUGE,
    CLOSING,
    CORRECTIONS,
    REVERSAL_PLAN,
    START,
)
_PLAIN_WIDTH = 180
_INTERRUPTED = 130


@click.command(context_settings={"max_content_width": 110})
@click.option(
    "--rows",
    envvar="ROWS",
    default="",
    help="Rows or themes, comma-separated; by default all but rebuild-10m.",
)
@click.option(
    "--rounds",
    envvar="ROUNDS",
    type=click.IntRange(1, 100),
    default=3,
    show_default=True,
    help="Of each row.",
)
@click.option(
    "--seconds",
    envvar="ROUND_SECONDS",
    type=click.FloatRange(0.05, 600),
    default=2.0,
    show_default=True,
    help="One round of one row.",
)
@click.option(
    "--json",
    "json_path",
    envvar="BENCH_JSON",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also here.",
)
@click.option("--base", envvar="BASE", default="", help="A revision to compare with, round by round.")
@click.option("--list", "only_list", is_flag=True, help="List the rows and end.")
def main(
    rows: str, rounds: int, seconds: float, json_path: Path | None, base: str, *, only_list: bool
) -> None:
    """Measure Laurel on this machine, with servers of its own; Ctrl-C ends it in order."""
    chosen = _choose(rows, _list_themes(os.environ))
    lacks = {theme.name: lack for theme, _ in chosen if (lack := theme.find_lack())}
    plan = Plan(tuple(pair for pair in chosen if pair[0].name not in lacks), rounds, seconds)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
    if only_list:
        _list_rows(plan, console)
        return
    _require_disk(plan)
    _say_left_out(lacks, plan, console)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        report, broke = _compare(plan, base, console) if base else _measure(plan, console)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except LocalStackError as error:
        Terminal().complain(str(error))
        sys.exit(error.exit_code)
    if json_path:
        json_path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    sys.exit(broke)


def _list_themes(environment: Mapping[str, str]) -> tuple[Theme, ...]:
    name = environment.get("PEER")
    url, board = environment.get("PEER_URL", ""), environment.get("PEER_BOARD", "bench")
    try:
        themes = (*THEMES, make_ledger_theme(LedgerSize.read(environment)))
        if not name:
            return themes
        return (*themes, make_peer_theme(name, url, board, environment.get("PEER_KEY", "defaultkey")))
    except (LedgerSizeError, PeerError) as error:
        raise click.UsageError(str(error)) from error


def _require_disk(plan: Plan) -> None:
    """Reject what would fill the disk."""
    folder, needed = tempfile.gettempdir(), sum(theme.disk_bytes for theme, _ in plan.themes)
    free = shutil.disk_usage(folder).free
    if needed > free:
        message = (
            f"This needs about {needed / 2**30:,.0f} GiB in {folder}, where {free / 2**30:,.0f} are free."
        )
        raise click.UsageError(f"{message} TMPDIR= names another folder.")


def _choose(rows: str, themes: Sequence[Theme]) -> Any:
    words = set(rows.replace(",", " ").split())
    chosen = tuple((theme, found) for theme in themes if (found := theme.choose(words)))
    unknown = sorted(word for word in words if not any(theme.choose({word}) for theme in themes))
    if unknown:
        raise click.UsageError(f"No row or theme is called {', '.join(unknown)}; --list tells them.")
    return chosen


def _say_left_out(lacks: Mapping[str, str], plan: Plan, console: Console) -> None:
    for name, lack in lacks.items():
        console.print(Text(f"{name} is left out: {lack}", "yellow"))
    if not plan.themes:
        raise click.UsageError("Nothing can be measured.")


def _list_rows(plan: Plan, console: Console) -> None:
    for theme, rows in plan.themes:
        for row in rows:
            console.print(Text(f"{theme.name:<10} {row.name:<14} {row.title}"))


def _measure(plan: Plan, console: Console) -> tuple[dict[str, Any], bool]:
    started = datetime.now(UTC)
    with (
        tempfile.TemporaryDirectory(prefix="laurel-bench-") as folder,
        running_stack(Path(folder), Terminal(console)) as stack,
    ):
        machine, versions = describe_machine(Path(folder)), describe_versions(stack)
        session = Session(stack, plan, console)
        asyncio.run(session.run())
        _show(session, machine, versions)
    about = {
        "started_at": started.isoformat(timespec="seconds"),
        "machine": machine,
        "versions": versions,
        "rounds": plan.rounds,
        "round_seconds": plan.seconds,
        "others_share": session.others,
        "faults": {name: repr(error) for name, error in session.faults.items()},
    }
    return make_report(session.lines, about), bool(session.faults)


def _compare(plan: Plan, revision: str, console: Console) -> tuple[dict[str, Any], bool]:
    started, commit = datetime.now(UTC), find_commit(revision)
    console.print(Text(f"Comparing with {revision} ({commit[:12]})"))
    with (
        tempfile.TemporaryDirectory(prefix="laurel-bench-") as folder,
        checked_out(commit) as tree,
    ):
        comparison = Comparison(this_tree(), tree, plan, Path(folder), console)
        comparison.run()
    console.print()
    console.print(make_comparison(comparison.lines, console.width))
    if comparison.missing:
        console.print(Text(f"Missing in {revision}: {', '.join(comparison.missing)}.", "yellow"))
    _warn_of_others(comparison.others, console)
    first = comparison.reports[0]
    about = {
        "started_at": started.isoformat(timespec="seconds"),
        "machine": first["machine"],
        "versions": first["versions"],
        "rounds": plan.rounds,
        "round_seconds": plan.seconds,
        "others_share": comparison.others,
        "base": {"revision": revision, "commit": commit, "missing": comparison.missing},
    }
    return make_report(comparison.lines, about), False


def _warn_of_others(share: float, console: Console) -> None:
    if share > BUSY:
        console.print(Text(f"Other work took up to {share:.0%} of the machine: read ratios only.", "yellow"))


def _show(session: Session, machine: dict[str, Any], versions: dict[str, str]) -> None:
    console = session.console
    console.print()
    console.print(make_table(session.lines, console.width))
    place = f"{machine['cpus']} CPUs ({machine['cpu']}), {machine['filesystem']}"
    if limit := machine["memory_limit_bytes"]:
        place += f", at most {limit / 2**30:,.1f} GiB of memory"
    servers = f"Python {versions['python']}, PostgreSQL {versions['postgresql']}, Valkey {versions['valkey']}"
    console.print(Text(f"{place}; {servers}; load generator included.", "dim"))
    _warn_of_others(session.others, console)
    for name, error in session.faults.items():
        console.print(Text(f"\n{name} broke:", "bold red"))
        console.print(Text("".join(traceback.format_exception(error))))


if __name__ == "__main__":
    main(prog_name="bench")
