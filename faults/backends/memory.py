"""Earlier awards, to be requested again, looked up, or read back."""

import random
from collections import deque
from dataclasses import dataclass
from typing import Final

from faults.model.history import Asked

_NEWEST: Final = 500
_OLDER: Final = 2_000


@dataclass(slots=True, eq=False)
class Remembered:
    """An award that was asked for."""

    asked: Asked
    revision: int | None = None
    """None while no answer has it."""
    contested: bool = False
    """Whether its id was also asked for with another payload, of which either may have come first."""


class Memory:
    """The newest awards, and some of all that came before."""

    def __init__(self, randomness: random.Random) -> None:
        self._randomness = randomness
        self._newest: deque[Remembered] = deque(maxlen=_NEWEST)
        self._older: list[Remembered] = []
        self._count = 0

    def keep(self, asked: Asked) -> Remembered:
        """Remember an award."""
        remembered = Remembered(asked)
        self._newest.append(remembered)
        self._count += 1
        if len(self._older) < _OLDER:
            self._older.append(remembered)
        elif (place := self._randomness.randrange(self._count)) < _OLDER:
            self._older[place] = remembered
        return remembered

    def any(self) -> Remembered | None:
        """Draw one of all, most often one of the newest; None where there is none yet."""
        kept = self._newest if self._randomness.random() < 0.7 else self._older  # noqa: PLR2004 - a weight
        return self._randomness.choice(kept) if kept else None

    def newest_known(self) -> Remembered | None:
        """Draw one of the newest whose revision was answered."""
        drawn = self._randomness.choice(self._newest) if self._newest else None
        return drawn if drawn and drawn.revision is not None else None
