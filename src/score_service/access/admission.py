"""How many calls may be under way at a time: who comes when all places are taken is refused at once.

A call that waits behind thousands of others is answered when its caller has given up and asks again, so the
work is done for nobody. With few places, what is taken in is answered soon.

To refuse a call must cost a small part of what a call costs, so nothing is read and no line logged for it;
one line a second tells how many there were.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from score_service.errors import OverloadedError
from service_runtime.throttle import Throttle

_LINES_A_SECOND: Final = 1

_log = structlog.get_logger(__name__)


class Admission:
    """The places for calls of one service. Not for more than one event loop."""

    def __init__(self, service: str, places: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the service's name for the log."""
        self._service = service
        self._places = places
        self._lines = Throttle(_LINES_A_SECOND, clock)
        self.under_way = 0
        """Calls that have a place."""

    @property
    def is_full(self) -> bool:
        """Whether every place is taken."""
        return self.under_way >= self._places

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take a place for as long as the block runs.

        Raises:
            OverloadedError: there is none.
        """
        if self.is_full:
            self.note_refusal()
            raise OverloadedError
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1

    def note_refusal(self) -> None:
        """Count a call that gets no place, and tell of it unless that was done within the last second."""
        if (left_out := self._lines.let_through()) is not None:
            _log.warning("calls_rejected", service=self._service, places=self._places, count=left_out + 1)
