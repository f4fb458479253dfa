"""Which faults come when: drawn from a seed, the same for the same seed. Pure.

Kinds are drawn as from a bag that is filled again when it is empty, so that each comes as often as its weight
says, and a short run has seen most of them.
"""

import random
from collections.abc import Iterator
from typing import Final, NamedTuple

from faults.nemesis.injection import Catalogue, FaultKind

_PAUSE: Final = (0.5, 2.0)
_AFTER: Final = (0.0, 2.0)
_PAIRS: Final = 0.5
_SEEDS: Final = 1 << 32


class Planned(NamedTuple):
    """One fault."""

    kind: str
    target: str
    seed: int
    """For what it draws by itself."""
    after: float
    """Seconds from the beginning of its turn until it is injected."""
    hold: float
    """Seconds from then until it is healed."""

    def __str__(self) -> str:
        return f"{self.kind} {self.target}"


class Turn(NamedTuple):
    """What comes next: one fault, or two that overlap."""

    pause: float
    """Seconds before, in which all is well."""
    faults: tuple[Planned, ...]

    def __str__(self) -> str:
        return " + ".join(map(str, self.faults))


def draw_turns(seed: int, catalogue: Catalogue) -> Iterator[Turn]:
    """Draw turns without end."""
    randomness = random.Random(seed)
    plans = _draw_plans(randomness, catalogue)
    first = next(plans)
    while True:
        second = next(plans)
        overlap = randomness.random() < _PAIRS and not _locks(first, catalogue) & _locks(second, catalogue)
        yield Turn(randomness.uniform(*_PAUSE), (first, second) if overlap else (first,))
        first = next(plans) if overlap else second


def _draw_plans(randomness: random.Random, catalogue: Catalogue) -> Iterator[Planned]:
    while True:
        bag = [name for name, kind in catalogue.items() for _ in range(kind.weight)]
        randomness.shuffle(bag)
        for name in bag:
            yield _plan(randomness, name, catalogue[name])


def _plan(randomness: random.Random, name: str, kind: FaultKind) -> Planned:
    return Planned(
        kind=name,
        target=randomness.choice(kind.targets),
        seed=randomness.randrange(_SEEDS),
        after=randomness.uniform(*_AFTER),
        hold=randomness.uniform(*kind.hold),
    )


def _locks(planned: Planned, catalogue: Catalogue) -> set[str]:
    return {planned.target, *catalogue[planned.kind].locks}
