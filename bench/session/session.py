"""One run of the bench: themes one after the other, the measures of a theme in turns."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from rich.console import Console
from rich.text import Text

from bench.figures.row import Line, Row, Sample, judge
from bench.session.progress import RoundsBar
from bench.stack.accounting import assign
from bench.stack.machine import count_cpus
from bench.stack.stack import Stack
from bench.themes.theme import Measure, Theme, measures_of

BUSY: Final = 0.1
"""The part of the machine that other work may take; with more, only ratios say something."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, and for how long."""

    themes: tuple[tuple[Theme, tuple[Row, ...]], ...]
    rounds: int
    seconds: float
    """One round of one measure."""

    @property
    def total(self) -> int:
        """Rounds of all measures, with those before that do not count."""
        return sum(len(measures_of(rows)) * (self.rounds + theme.warms_up) for theme, rows in self.themes)


@dataclass(slots=True)
class Session:
    """Measures a plan on a stack."""

    stack: Stack
    plan: Plan
    console: Console
    lines: list[Line] = field(default_factory=list)
    faults: dict[str, Exception] = field(default_factory=dict)
    """By theme, what broke it."""
    others: float = 0.0
    """The largest part of the machine that anything else took in a round, 0 to 1."""

    async def run(self) -> None:
        """Measure everything; what breaks a theme does not keep the others from being measured."""
        with RoundsBar(self.console, self.plan.total) as bar:
            for theme, rows in self.plan.themes:
                started, done = time.monotonic(), len(self.lines)
                try:
                    await self._measure(theme, rows, bar)
                    self.stack.require_running()
                except Exception as error:  # noqa: BLE001 - Told at the end, whole.
                    self.faults[theme.name] = error
                self._tell(theme, time.monotonic() - started, self.lines[done:])

    async def _measure(self, theme: Theme, rows: Sequence[Row], bar: RoundsBar) -> None:
        names = measures_of(rows)
        samples: dict[str, list[Sample]] = {name: [] for name in names}
        bar.begin(f"{theme.name}: preparing")
        async with theme.open(self.stack) as measures:
            for name in names if theme.warms_up else ():
                bar.begin(f"{name}: warming up")
                await measures[name](self.plan.seconds / 2)
                bar.advance()
            for number in range(1, self.plan.rounds + 1):
                for name in names:
                    bar.begin(f"{name}: round {number} of {self.plan.rounds}")
                    samples[name].append(await self._sample(measures, name))
                    bar.advance()
        self.lines += [judge(row, samples) for row in rows]

    async def _sample(self, measures: Mapping[str, Measure], name: str) -> Sample:
        before, started = self.stack.usage(), time.monotonic()
        sample = await measures[name](self.plan.seconds)
        elapsed, usage = time.monotonic() - started, self.stack.usage().since(before)
        self.others = max(self.others, usage.others / elapsed / count_cpus())
        return replace(sample, cpu=assign(usage.by, sample.cpu), memory=sample.memory or self.stack.memory())

    def _tell(self, theme: Theme, seconds: float, lines: Sequence[Line]) -> None:
        broke = theme.name in self.faults
        mark = Text("✗ ", "red") if broke else Text("✓ ", "green")
        figures = ", ".join(f"{line.row.name} {line.figure.median:,.4g} {line.row.unit}" for line in lines)
        self.console.print(Text.assemble(mark, theme.name, (f"  {seconds:.1f} s  ", "dim"), figures))
