"""Reports who gets points far faster than the others: counted and logged. It rejects nothing.

It sees the awards of all callers, but only those that this process makes; the replicas do not add up.
"""

import time
from collections.abc import Callable, Iterable
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter

from score_service.access.velocity import Surge, Velocity
from score_service.domain.ledger.award import Award
from service_runtime.telemetry.throttle import Throttle

EVENTS_A_SECOND: Final = 5

_log = structlog.get_logger(__name__)


class Surges:
    """Counts and logs surges."""

    def __init__(
        self, velocity: Velocity, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the rule, and seconds that never step back."""
        self._velocity = velocity
        self._clock = clock
        self._surges = Counter(
            "laurel_points_surges",
            "Times that the points of a user on a board were out of the ordinary, once a user and window.",
            registry=registry,
        )
        self._events = Throttle(EVENTS_A_SECOND, clock)

    def note(self, awards: Iterable[Award]) -> None:
        """Take in awards that were made just now."""
        now = self._clock()
        note = self._velocity.note
        for award in awards:
            if surge := note(award.board_id, award.user_id, award.points, now):
                self._tell(award, surge)

    def _tell(self, award: Award, surge: Surge) -> None:
        self._surges.inc()
        if (left_out := self._events.let_through()) is not None:
            _log.warning(
                "points_surge",
                board_id=award.board_id,
                user_id=award.user_id,
                points=surge.points,
                typical=surge.typical,
                caller=award.caller,
                trace_id=award.trace_id,
                left_out=left_out,
            )
