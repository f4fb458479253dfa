"""When the record was which: each restore begins an epoch. Pure.

Invariants:
- A time near a restore may belong to both of its epochs; no time belongs to none.
- What is shown may lag: of a lost history, for some time after the restore, after faults that kept those who
  follow the record from noticing it, and after Redis was taken back to a time when it was shown.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from faults.model.history import Fault, Restore

RECOVERY_SECONDS: Final = 10.0
"""After the end of a fault, until every process has noticed what became of the record meanwhile: it looks
twice a second, but only once it has a connection again, for which it waits up to five. The rest is for a
machine that has more to do than it can."""
_REJECTIONS: Final = frozenset({"too_few_replicas", "read_only", "full"})
"""Faults in which Redis answers and rejects writes."""
_SKEW: Final = "skewed"
_STEPS_BACK: Final = frozenset({"rolled_back", "failed_over"})
"""Faults that take Redis back."""


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when the record may have been this one."""

    began: float
    ended: float


class Rejection(NamedTuple):
    """A time in which Redis answered and rejected writes, and nothing else was broken."""

    began: float
    ended: float
    calm_since: float
    """When what was broken before it was whole again; minus infinity if nothing was."""


class Epochs:
    """The epochs of a run, numbered from 0."""

    def __init__(self, restores: Sequence[Restore], faults: Iterable[Fault] = ()) -> None:
        began = [-math.inf, *(restore.began for restore in restores)]
        ended = [*(restore.ended for restore in restores), math.inf]
        self.spans = [Span(*span) for span in zip(began, ended, strict=True)]
        self.restores = restores
        self._faults = sorted(faults, key=lambda fault: fault.began)
        self._until: dict[tuple[float, float], float] = {}
        self.rejections = list(self._find_rejections())
        """In order."""

    def live(self, began: float, ended: float) -> int:
        """Return, as a set of bits, in which epochs something happened that took this time."""
        return self._overlapping(began, ended, 0.0)

    def shown(self, began: float, ended: float, lag: float) -> int:
        """Return, as a set of bits, of which epochs something may be that was shown then.

        Args:
            began: when it was asked for.
            ended: when it was seen.
            lag: for how many seconds after a restore the lost history is shown, where nothing else is broken.
        """
        return self._overlapping(began, ended, lag)

    def were_restored(self, began: float, ended: float, lag: float) -> bool:
        """Return whether a restore may explain that a stream stepped back between two messages."""
        return any(
            restore.began <= ended and began <= self._forgotten(restore.ended, lag)
            for restore in self.restores
        )

    def seen_until(self, time: float, lag: float) -> float:
        """Return until when the record may be shown as it was before a time, see `shown`."""
        return self._forgotten(time, lag)

    def rejected_since(self, began: float, ended: float) -> float | None:
        """Return since when Redis rejected writes, while nothing else was broken; None if it did not."""
        spans = (one for one in self.rejections if one.began <= began and ended <= one.ended)
        return next((one.began for one in spans), None)

    def _find_rejections(self) -> Iterator[Rejection]:
        broken: list[Fault | Restore] = [*self._faults, *self.restores]
        for fault in self._faults:
            others = [one for one in broken if one is not fault and one.began <= fault.ended]
            calm_since = max((one.ended for one in others), default=-math.inf)
            if fault.name in _REJECTIONS and calm_since < fault.began:
                yield Rejection(fault.began, fault.ended, calm_since)

    def were_skewed(self, service: str, began: float, ended: float) -> bool:
        """Return whether meanwhile the clock of one of the processes of a service may have been wrong."""
        return any(
            fault.name == _SKEW
            and fault.target.startswith(service)
            and fault.began <= ended
            and began <= fault.ended
            for fault in self._faults
        )

    def _overlapping(self, began: float, ended: float, lag: float) -> int:
        bits = 0
        for number, span in enumerate(self.spans):
            if span.began <= ended and began <= self._forgotten(span.ended, lag):
                bits |= 1 << number
        return bits

    def _forgotten(self, ended: float, lag: float) -> float:
        """Return until when an epoch may be shown that ended then."""
        if not lag:
            return ended
        until = self._until.get((ended, lag))
        if until is None:
            until = self._until[ended, lag] = self._put_off(ended, lag)
        return until

    def _put_off(self, ended: float, lag: float) -> float:
        later = [fault for fault in self._faults if fault.ended >= ended]
        begun = [fault for fault in later if fault.began <= ended + lag]
        until = max(fault.ended + lag for fault in begun) if begun else ended + lag
        for fault in later:
            if fault.name in _STEPS_BACK and fault.began <= until:
                until = max(until, fault.ended + lag)
        return until
