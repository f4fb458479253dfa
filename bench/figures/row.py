"""Rows: which figure of which measure is shown, beside which limit, and what it has to reach. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from bench.figures.spread import Spread, percentile

JUDGED_CPU = ("service", "postgres", "redis")
"""Whose CPU an award costs; that of the load generator is none of Laurel's."""
SERVERS = (*JUDGED_CPU, "gateway")
"""Whose CPU an operation costs, through whichever door it comes."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one round of a measure gave."""

    count: int
    """Operations done: awards, calls, standings."""
    seconds: float
    latencies: Sequence[float] = ()
    """Seconds that each took, where that was measured."""
    value: float = 0.0
    """What was measured instead of a time."""
    cpu: Mapping[str, float] = field(default_factory=dict)
    """Seconds of CPU meanwhile, by who used them. A measure tells only of what would be taken for load."""
    memory: float = 0.0
    """Bytes of memory that the service had at the end."""


Figure: TypeAlias = Callable[[Sample], float]


def rate(sample: Sample) -> float:
    """Operations a second."""
    return sample.count / sample.seconds


def seconds(sample: Sample) -> float:
    """Seconds that it took."""
    return sample.seconds


def median_ms(sample: Sample) -> float:
    """Milliseconds that half of the operations did not take longer than."""
    return 1000 * percentile(sample.latencies, 50)


def p99_ms(sample: Sample) -> float:
    """Milliseconds that 99 of 100 operations did not take longer than."""
    return 1000 * percentile(sample.latencies, 99)


def value(sample: Sample) -> float:
    """What was measured, as it is."""
    return sample.value


def memory_mib(sample: Sample) -> float:
    """Memory of the service in MiB."""
    return sample.memory / 2**20


def judged_cpu(sample: Sample) -> float:
    """Microseconds of CPU an operation over service, PostgreSQL and Redis together."""
    return sum(cpu_of(sample, who) for who in JUDGED_CPU)


def cpu_of(sample: Sample, who: str) -> float:
    """Microseconds of CPU an operation that someone used."""
    return 1e6 * sample.cpu.get(who, 0.0) / sample.count if sample.count else 0.0


class Quantity(Enum):
    """What a target is about."""

    FIGURE = "{bound:,g}"
    RATIO = "{bound:g} of limit"
    DIFFERENCE = "limit + {bound:g}"
    CPU = "{bound:,g} µs of CPU"
    """Of all servers, for one operation."""
    POSTGRES_CPU = "{bound:,g} µs of PostgreSQL"
    BASE = "{bound:g} of base"
    """Of the figure of the revision that this one is compared with."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a row has to reach."""

    quantity: Quantity
    bound: float
    is_least: bool
    """True if more is better."""

    def __str__(self) -> str:
        return f"{'≥' if self.is_least else '≤'} {self.quantity.value.format(bound=self.bound)}"

    def is_met(self, reached: float) -> bool:
        """Return whether a figure is good enough; NaN never is."""
        return reached >= self.bound if self.is_least else reached <= self.bound


def at_least(bound: float, quantity: Quantity = Quantity.FIGURE) -> Target:
    """More is better."""
    return Target(quantity, bound, is_least=True)


def at_most(bound: float, quantity: Quantity = Quantity.FIGURE) -> Target:
    """Less is better."""
    return Target(quantity, bound, is_least=False)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    name: str
    """How it is chosen."""
    title: str
    unit: str
    figure: Figure
    measure: str = ""
    """By default the one of the same name."""
    limit: str = ""
    """The measure that the figure is compared with, in the figure's own unit."""
    targets: tuple[Target, ...] = ()

    @property
    def measures(self) -> tuple[str, ...]:
        """What has to be measured for it, the limit first."""
        own = self.measure or self.name
        return (self.limit, own) if self.limit else (own,)


Cpu: TypeAlias = Mapping[str, float]
"""Microseconds an operation, by who used them."""
Verdicts: TypeAlias = tuple[tuple[Target, bool | None], ...]
"""Each target, and whether it is met; None where nothing tells."""


@dataclass(frozen=True, slots=True)
class Base:
    """What a row was on another revision, in rounds that took turns with ours."""

    figure: Spread
    ratio: Spread
    """Ours to its, round by round."""
    cpu: Cpu


@dataclass(frozen=True, slots=True)
class Line:
    """A row with its figures."""

    row: Row
    figure: Spread
    limit: Spread | None
    ratio: Spread | None
    cpu: Cpu
    verdicts: Verdicts
    base: Base | None = None
    """None where no revision was compared, or where it does not know the row."""


Samples: TypeAlias = Mapping[str, Sequence[Sample]]
"""The rounds of each measure."""


def judge(row: Row, samples: Samples) -> Line:
    """Work out a row. A figure is compared with the limit of the same round."""
    own = samples[row.measures[-1]]
    figure = Spread.of([row.figure(sample) for sample in own])
    limit = Spread.of([row.figure(sample) for sample in samples[row.limit]]) if row.limit else None
    who = sorted({name for sample in own for name in sample.cpu})
    cpu = {name: Spread.of([cpu_of(sample, name) for sample in own]).median for name in who}
    return make_line(row, figure, limit, cpu)


def make_line(row: Row, figure: Spread, limit: Spread | None, cpu: Cpu, base: Base | None = None) -> Line:
    """Make a line out of figures that are known, and see which targets are met."""
    ratio = ratio_of(figure, limit) if limit else None
    reached = {
        Quantity.FIGURE: figure.median,
        Quantity.CPU: sum_of(cpu, SERVERS),
        Quantity.POSTGRES_CPU: cpu.get("postgres", 0.0),
    }
    if limit and ratio:
        differences = [mine - its for mine, its in zip(figure.rounds, limit.rounds, strict=True)]
        reached |= {Quantity.RATIO: ratio.median, Quantity.DIFFERENCE: Spread.of(differences).median}
    if base:
        reached[Quantity.BASE] = base.ratio.median
    verdicts = tuple(
        (target, target.is_met(reached[target.quantity]) if target.quantity in reached else None)
        for target in row.targets
    )
    return Line(row, figure, limit, ratio, cpu, verdicts, base)


def ratio_of(figure: Spread, other: Spread) -> Spread:
    """Compare round by round."""
    return Spread.of(
        [mine / its if its else 0.0 for mine, its in zip(figure.rounds, other.rounds, strict=True)]
    )


def sum_of(cpu: Cpu, who: Iterable[str]) -> float:
    """Add up what some of them have used."""
    return sum(cpu.get(name, 0.0) for name in who)
