"""Rows of this tree and of another revision by turns, round by round, each side by the bench of its own tree.

Every round of a theme is a run of its own, with servers of its own, so no side finds what the other has left.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from rich.console import Console
from rich.text import Text

from bench.comparing.worktree import Tree
from bench.figures.row import Base, Cpu, Line, Row, make_line, ratio_of
from bench.figures.spread import Spread
from bench.session.progress import RoundsBar
from bench.session.session import Plan
from local_stack.errors import LocalStackError
from local_stack.servers.binding import bind_command

Report: TypeAlias = Mapping[str, Any]
"""What a run writes as JSON, or one row of it."""
_STOP_SECONDS: Final = 60
_PEER: Final = ("PEER", "PEER_URL")


class RoundFailedError(LocalStackError):
    """A run of one side broke."""


@dataclass(slots=True)
class Comparison:
    """Measures a plan on both trees."""

    ours: Tree
    base: Tree
    plan: Plan
    folder: Path
    """Empty, for what the runs report."""
    console: Console
    lines: list[Line] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    """Of our own runs."""
    missing: list[str] = field(default_factory=list)
    """Rows that the base does not know."""

    @property
    def others(self) -> float:
        """The largest part of the machine that anything else took in a round of ours, 0 to 1."""
        return max((report["others_share"] for report in self.reports), default=0.0)

    def run(self) -> None:
        """Measure everything. Raises RoundFailedError if a run breaks."""
        known = self._list_rows(self.base)
        runs = 2 * len(self.plan.themes) * self.plan.rounds
        with RoundsBar(self.console, runs) as bar:
            for theme, rows in self.plan.themes:
                shared = [row for row in rows if row.name in known]
                self.missing += [row.name for row in rows if row.name not in known]
                ours: list[dict[str, Report]] = []
                theirs: list[dict[str, Report]] = []
                for number in range(1, self.plan.rounds + 1):
                    round_name = f"{theme.name}: round {number} of {self.plan.rounds}"
                    sides = [(self.ours, "this revision", rows, ours), (self.base, "base", shared, theirs)]
                    # The second run of a pair may find the machine faster or slower, so they take turns.
                    for tree, side, measured, reports in sides if number % 2 else reversed(sides):
                        bar.begin(f"{round_name}, {side}")
                        reports.append(self._measure(tree, measured) if measured else {})
                        bar.advance()
                self.lines += [compare(row, ours, theirs) for row in rows]
                self.console.print(Text.assemble(("✓ ", "green"), theme.name))

    def _list_rows(self, tree: Tree) -> set[str]:
        listed = self._run(tree, ["--list"])
        return {words[1] for line in listed.splitlines() if len(words := line.split(maxsplit=2)) > 1}

    def _measure(self, tree: Tree, rows: Sequence[Row]) -> dict[str, Report]:
        path = self.folder / "report.json"
        path.unlink(missing_ok=True)
        names = ",".join(row.name for row in rows)
        self._run(
            tree, ["--rows", names, "--rounds", "1", "--seconds", str(self.plan.seconds), "--json", str(path)]
        )
        report: Report = json.loads(path.read_text(encoding="utf-8"))
        if tree is self.ours:
            self.reports.append(report)
        return {row["name"]: row for row in report["rows"]}

    def _run(self, tree: Tree, arguments: Iterable[str]) -> str:
        """Run the bench of a tree, and return what it prints."""
        process = subprocess.Popen(
            bind_command([tree.python, "-m", "bench", *arguments]),
            cwd=tree.folder,
            env=self._environment(tree),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate()
        except BaseException:
            _end(process)
            raise
        if process.returncode != 0:
            side = "this revision" if tree is self.ours else f"base {tree.commit[:12]}"
            raise RoundFailedError(f"The bench of {side} broke:\n{output.strip()}")
        return output

    def _environment(self, tree: Tree) -> dict[str, str]:
        own = {"BASE", "ROWS", "ROUNDS", "ROUND_SECONDS", "BENCH_JSON", *(() if tree is self.ours else _PEER)}
        paths = os.pathsep.join((str(tree.folder), str(tree.folder / "src")))
        kept = {name: value for name, value in os.environ.items() if name not in own}
        return {**kept, "PYTHONPATH": paths}


def compare(row: Row, ours: Sequence[Mapping[str, Report]], theirs: Sequence[Mapping[str, Report]]) -> Line:
    """Make a line of the rounds of both sides; without a base if that has not measured the row in each."""
    mine = [report[row.name] for report in ours]
    figure = _spread(mine, "figure")
    limit = _spread(mine, "limit") if row.limit else None
    if not all(row.name in report for report in theirs):
        return make_line(row, figure, limit, _cpu(mine))
    its = [report[row.name] for report in theirs]
    other = _spread(its, "figure")
    return make_line(row, figure, limit, _cpu(mine), Base(other, ratio_of(figure, other), _cpu(its)))


def _spread(rows: Sequence[Report], name: str) -> Spread:
    """Collect a figure of several runs; what none has measured is no number."""
    medians = [row[name]["median"] for row in rows]
    return Spread.of([float("nan") if median is None else median for median in medians])


def _cpu(rows: Sequence[Report]) -> Cpu:
    who = sorted({name for row in rows for name in row["cpu_microseconds"]})
    return {name: Spread.of([row["cpu_microseconds"].get(name, 0.0) for row in rows]).median for name in who}


def _end(process: "subprocess.Popen[str]") -> None:
    """Have a run end in order, and its servers with it."""
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
