"""How many calls of a service may be in flight: those that come when all slots are taken are rejected.

A call that waits behind thousands of others is answered when its caller has given up and tries again, so the
work is done for nobody. With few slots, each call that is admitted is answered soon.

To reject a call must cost a small part of what a call costs, so nothing is read and no line logged for it;
one line a second says how many there were.
"""

import time
from collections.abc import Callable
from typing import Final

import structlog

from score_service.errors import OverloadedError
from service_runtime.telemetry.throttle import Throttle

_LINES_A_SECOND: Final = 1

_log = structlog.get_logger(__name__)


class _Slot:
    """Takes a slot for as long as a block runs. Every call has this same one around it."""

    def __init__(self, admission: "Admission") -> None:
        self._admission = admission

    def __enter__(self) -> None:
        """Raise OverloadedError where there is none."""
        if self._admission.is_full:
            self._admission.note_rejection()
            raise OverloadedError
        self._admission.in_flight += 1

    def __exit__(self, *_: object) -> None:
        self._admission.in_flight -= 1


class Admission:
    """The slots for calls of one service. Not for more than one event loop."""

    def __init__(self, service: str, capacity: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the service's name for the log, and its number of slots."""
        self._service = service
        self._capacity = capacity
        self._lines = Throttle(_LINES_A_SECOND, clock)
        self.in_flight = 0
        """Calls that have a slot."""
        self.slot = _Slot(self)

    @property
    def is_full(self) -> bool:
        """Whether every slot is taken."""
        return self.in_flight >= self._capacity

    def note_rejection(self) -> None:
        """Count a call that gets no slot, and log it unless that was done within the last second."""
        if (left_out := self._lines.let_through()) is not None:
            _log.warning("calls_rejected", service=self._service, capacity=self._capacity, count=left_out + 1)
