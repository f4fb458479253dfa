"""What a check of a board found: typed, counted, and only the first few kept. Pure."""

import enum
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_KEPT_MAX: Final = 20

Progress = Callable[[str, int, int], None]
"""Called again and again by a check: what it looks at, how many it has done, how many there are about."""


def ignore_progress(what: str, done: int, length: int) -> None:
    """Show nothing."""


class Fault(enum.Enum):
    """What may be wrong, in words that follow the place."""

    AWARD_MISSING = "neither an award nor an entry has this revision"
    TOTAL_WRONG = "the total after the award is not the total before it plus the points"
    COMMIT_NOT_NEXT = "the commit does not begin where the one before it ends"
    COMMIT_MISSING = "no commit holds the ledger up to here"
    DIGEST_WRONG = "the commit's digest is not that of its rows and of the commits before it"
    BOARD_WRONG = "the board's row does not say where the ledger ends"
    SETTINGS_WRONG = "the board's row does not name the last settings in the ledger"
    ENTRY_WRONG = "the entry does not say what the awards add up to"
    CHECKPOINT_WRONG = "what is kept of the ledger up to the cut is not what its entry says"
    PREVIOUS_WRONG = "the award does not name the one of its user before it"
    REVERSAL_WRONG = "the reversal's row is not what the ledger says"
    VISIBILITY_WRONG = "who may see the user is not what the ledger says"
    PERIOD_OVER = "the award counts in a period that was final before"
    PERIOD_WRONG = "the period's row is not what the ledger says"
    PERIOD_MISSING = "awards count in the period, and it has no row"
    RESULT_WRONG = "the result that is kept is not that of the ledger"
    STANDING_WRONG = "the standing is not what the ledger says"
    STANDING_MISSING = "the ledger has awards, and there is no standing"
    STANDING_SURPLUS = "there is a standing, and the ledger has no awards"
    PROJECTION_MISSING = "there is no projection"
    PROJECTION_BROKEN = "Redis has lost a part of the projection"
    PROJECTION_FOREIGN = "the projection is of another history"
    PROJECTION_BEHIND = "the projection is behind the record and does not move"
    PROJECTION_WRONG = "the projection differs from the record"
    MEMBERS_WRONG = "the projection has another number of members than the record"
    PERIOD_SURPLUS = "the projection has a period that is final or not of the record"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault, and where it is."""

    fault: Fault
    revision: int | None = None
    user_id: str | None = None
    period_id: str | None = None

    def __str__(self) -> str:
        revision = None if self.revision is None else f"revision {self.revision:,}"
        user = None if self.user_id is None else f"user {self.user_id}"
        place = ", ".join(part for part in (self.period_id, revision, user) if part)
        return f"{place}: {self.fault.value}" if place else self.fault.value


class Findings:
    """All that was found on one board: how many of each fault, and the first ones whole."""

    def __init__(self) -> None:
        self.counts: Counter[Fault] = Counter()
        self.kept: list[Finding] = []

    def add(
        self,
        fault: Fault,
        revision: int | None = None,
        user_id: str | None = None,
        period_id: str | None = None,
    ) -> None:
        """Count a fault, and keep it if it is among the first."""
        self.counts[fault] += 1
        if len(self.kept) < _KEPT_MAX:
            self.kept.append(Finding(fault, revision, user_id, period_id))

    def __len__(self) -> int:
        return self.counts.total()
