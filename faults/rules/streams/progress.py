"""How far a stream must have come while Redis rejects writes: it shows the record then. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from faults.model.board import Board, Line, Placed
from faults.model.epochs import Epochs, Rejection
from faults.model.findings import Finding, Kind
from faults.model.history import Message

STALE: Final = 9.0
"""Seconds after which a stream has shown what was acknowledged, while Redis rejects writes: two until the
record is asked, one until the hub looks, and the rest for a machine on which each look takes its time."""


@dataclass(slots=True)
class Progress:
    """How far one stream has come, across its connections.

    It is judged by the awards that its connection had to tell of, because a change that it does not show is
    told by nothing. A connection counts as open until its last message; and only if it has shown, since the
    last other fault, something that was asked for after it: else it may still be on its way back.
    """

    name: str
    epochs: Epochs
    _former: Message | None = None
    _opened: float = 0.0

    def take(self, message: Message, board: Board) -> Iterable[Finding]:
        """Take a message, and find what it tells too late.

        Args:
            message: the next one.
            board: of the period that the stream shows, where it shows one.
        """
        former, self._former = self._former, message
        if former is None or former.connection != message.connection or message.reset:
            self._opened = message.at
            return
        for rejection in self.epochs.rejections:
            line = board.line_of(self.epochs.live(rejection.began, rejection.ended))
            if late := self._find_late(former, message, line, rejection):
                told = f"award {late.award.revision} of {late.answered_at:.3f}"
                yield Finding(Kind.STREAM_STALE, f"{self.name} at {message.at:.3f}: {told}")

    def _find_late(
        self, former: Message, message: Message, line: Line, rejection: Rejection
    ) -> Placed | None:
        """Find the first award that the message tells of, and that should have been told before."""
        if message.at <= rejection.began + STALE:
            return None
        if not rejection.calm_since <= line.earliest(former.revision) <= rejection.ended:
            return None
        corrections = line.corrections_between(former.revision, message.revision)
        corrected = {correction.user_id for correction in corrections}  # They may leave a score as it was.
        for placed in line.placed_between(former.revision, message.revision):
            due = max(placed.answered_at + STALE, self._opened)
            is_due = rejection.began <= placed.answered_at and due <= rejection.ended and due < message.at
            if is_due and _shows(message, placed.award.user_id) and placed.award.user_id not in corrected:
                return placed
        return None


def _shows(message: Message, user_id: str) -> bool:
    """Return whether a stream tells each score of a user."""
    return message.all_scores or user_id in message.user_ids or user_id == message.user_id
