"""When the record was which: each restore begins an epoch. Pure.

Invariants:
- A time near a restore may belong to both of its epochs; no time belongs to none.
- What is shown may lag: of a lost history, for some time after the restore and after whatever kept those who
  follow the record from it.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from faults.history import Fault, Restore


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when the record may have been this one."""

    began: float
    ended: float


class Epochs:
    """The epochs of a run, numbered from 0."""

    def __init__(self, restores: Sequence[Restore], faults: Iterable[Fault] = ()) -> None:
        began = [-math.inf, *(restore.began for restore in restores)]
        ended = [*(restore.ended for restore in restores), math.inf]
        self.spans = [Span(*span) for span in zip(began, ended, strict=True)]
        self.restores = restores
        self._faults = sorted(faults, key=lambda fault: fault.began)
        self._until: dict[tuple[float, float], float] = {}

    def live(self, began: float, ended: float) -> int:
        """Tell, as a set of bits, in which epochs something happened that took this time."""
        return self._overlapping(began, ended, 0.0)

    def shown(self, began: float, ended: float, lag: float) -> int:
        """Tell, as a set of bits, of which epochs something may be that was shown then.

        Args:
            began: when it was asked for.
            ended: when it was seen.
            lag: for how many seconds after a restore the lost history is shown, where nothing else is broken.
        """
        return self._overlapping(began, ended, lag)

    def were_restored(self, began: float, ended: float, lag: float) -> bool:
        """Tell whether a stream may have stepped back between two of its messages, because the record did."""
        return any(
            restore.began <= ended and began <= self._forgotten(restore.ended, lag)
            for restore in self.restores
        )

    def _overlapping(self, began: float, ended: float, lag: float) -> int:
        bits = 0
        for number, span in enumerate(self.spans):
            if span.began <= ended and began <= self._forgotten(span.ended, lag):
                bits |= 1 << number
        return bits

    def _forgotten(self, ended: float, lag: float) -> float:
        """Tell until when an epoch may be shown: faults put it off, and what they held back arrives later."""
        if not lag:
            return ended
        until = self._until.get((ended, lag))
        if until is None:
            until = ended + lag
            for fault in self._faults:
                if fault.began <= until:
                    until = max(until, fault.ended + lag)
            self._until[ended, lag] = until
        return until
