"""Awards to ask for: always new ones, of users drawn at random."""

import time
from dataclasses import dataclass, field
from random import Random
from typing import Any

from score_api.v1 import score_service_pb2 as scores
from score_service.domain.board.period import NO_SCHEDULE, Schedule
from score_service.record.ledger import schedule_parameters, write_array

USERS = 1_000
POINTS = 10
ACTION = {"action_type": "bench", "action_id": "bench-0001"}
CALLER = "spiffe://laurel.local/bench"
"""Who has made them, where no service says so."""


def user_id(number: int) -> str:
    """Name a user in eleven characters."""
    return f"player-{number:04}"


@dataclass(slots=True)
class Awards:
    """Makes awards on one board."""

    board_id: str
    users: int = USERS
    draw: Random = field(default_factory=Random)
    in_order: bool = False
    """Whether ids are ordered by time (UUID version 7) instead of random (version 4)."""

    def fields(self) -> dict[str, Any]:
        """Return the arguments of `ScoreClient.award`; it finds the ids by itself."""
        return {"board_id": self.board_id, "user_id": self.user(), "points": POINTS, **ACTION}

    def request(self) -> scores.AwardPointsRequest:
        """Make a request for one award."""
        award = scores.Award(award_id=self._new_id(), **self.fields())
        return scores.AwardPointsRequest(award=award, request_id=self._new_id())

    def batch(self, size: int) -> scores.BatchAwardPointsRequest:
        """Make a request for many awards."""
        return scores.BatchAwardPointsRequest(requests=[self.request() for _ in range(size)])

    def parameters(self, size: int, schedule: Schedule = NO_SCHEDULE) -> dict[str, object]:
        """Return what `record_awards.sql` takes for so many awards, as the ledger sends it."""
        columns = {
            "award_ids": [self._new_id() for _ in range(size)],
            "user_ids": [self.user() for _ in range(size)],
            "points": [str(POINTS)] * size,
            "action_types": [ACTION["action_type"]] * size,
            "action_ids": [ACTION["action_id"]] * size,
            "request_ids": [self._new_id() for _ in range(size)],
            "callers": [CALLER] * size,
            "trace_ids": [""] * size,
        }
        arrays = {name: write_array(values) for name, values in columns.items()}
        return {"board_id": self.board_id, **arrays, "occurred_ats": None, **schedule_parameters(schedule)}

    def user(self) -> str:
        """Draw a user."""
        return user_id(int(self.draw.random() * self.users))

    def _new_id(self) -> str:
        # As random as the ones of callers, for that is what an index feels, and cheaper to make.
        text, version = f"{self.draw.getrandbits(128):032x}", 4
        if self.in_order:
            text, version = f"{time.time_ns() // 1_000_000:012x}{text[12:]}", 7
        return f"{text[:8]}-{text[8:12]}-{version}{text[13:16]}-a{text[17:20]}-{text[20:]}"
