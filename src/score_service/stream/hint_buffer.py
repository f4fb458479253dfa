"""What users changed after a frame, step by step: received as hints, or read from the ledger. No I/O.

A step leads from one position to a later one. Steps are kept by where they begin, so a path is found only
where none is missing.
"""

from dataclasses import replace

from score_service.domain.ledger.position import Position
from score_service.domain.standings.hint import Hint
from score_service.domain.standings.standing import Reading, Standing


class HintBuffer:
    """The steps from the position of a frame."""

    def __init__(self, start: Position, most: int) -> None:
        """Take how much is kept of hints, at most: standings, and steps that have none."""
        self.start = start
        self._most = most
        self._steps: dict[Position, Hint] = {}
        self._noted = 0
        """How much the steps hold, at most `most` of what is from hints."""

    def note(self, hint: Hint) -> bool:
        """Take in a hint if there is room for it; False if it is not newer than the frame."""
        if not self.start.revision <= hint.before.revision < hint.after.revision:
            return False
        if self._noted + _size(hint) <= self._most:
            self._steps[hint.before] = hint
            self._noted += _size(hint)
        return True

    def add(self, step: Hint) -> None:
        """Take in what was read from the ledger."""
        self._steps[step.before] = step

    def move_to(self, position: Position) -> None:
        """Forget what led to a position, which is that of the frame now."""
        self.start = position
        self._steps = {
            before: step for before, step in self._steps.items() if before.revision >= position.revision
        }
        self._noted = sum(map(_size, self._steps.values()))

    def users(self) -> set[str]:
        """Return everyone who has changed."""
        return {standing.user_id for step in self._steps.values() for standing in step.standings}

    def leads_to(self, position: Position) -> bool:
        """Return whether there are all steps to a position."""
        return self._path_to(position) is not None

    def scores_at(self, reading: Reading) -> dict[str, Standing]:
        """Find the standing of everyone who changed on the way to a reading, as of the reading.

        A rank of a step may not hold any more after the next one, so it is left out.
        """
        *earlier, last = self._path_to(reading.position) or []
        changed = {s.user_id: replace(s, rank=None) for step in earlier for s in step.standings}
        changed.update((s.user_id, s) for s in last.standings)
        read = {s.user_id: s for s in (*reading.top, *reading.users)}
        return {user_id: read.get(user_id, standing) for user_id, standing in changed.items()}

    def _path_to(self, position: Position) -> list[Hint] | None:
        path, at = list[Hint](), self.start
        while at != position:
            step = self._steps.get(at)
            if step is None:
                return None
            path.append(step)
            at = step.after
        return path


def _size(step: Hint) -> int:
    return max(1, len(step.standings))
