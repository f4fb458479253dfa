"""Figures out of what was measured. Pure."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that so many percent of all are not above; NaN of none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure in several rounds."""

    rounds: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Take the figure of each round."""
        return cls(tuple(values))

    @property
    def median(self) -> float:
        """What counts."""
        return statistics.median(self.rounds) if self.rounds else math.nan

    @property
    def least(self) -> float:
        """The smallest of all rounds."""
        return min(self.rounds, default=math.nan)

    @property
    def most(self) -> float:
        """The largest of all rounds."""
        return max(self.rounds, default=math.nan)
