"""What the ledger has of corrections, read from the bodies of its entries. Pure.

The format of the bodies is written down here a second time, on purpose.
"""

import json
from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias

from faults.model.ledger import Award, Entry

ALL_TIME: Final = "all_time"
VISIBLE: Final = "visible"
HIDDEN: Final = "hidden"
SHADOWED: Final = "shadowed"
_REVERSAL: Final = "reversal"
_VISIBILITY: Final = "visibility"


class Reversal(NamedTuple):
    """An award that was taken back."""

    revision: int
    reversal_id: str
    award_id: str
    award_revision: int
    user_id: str
    points: int
    final_periods: tuple[str, ...]
    reason: str
    standings: tuple[tuple[str, int, int], ...]
    """What became of the user's standings: `all_time` or a period, the total, and the revision reached."""

    @property
    def total(self) -> int:
        """The user's total of all time then."""
        return self.standings[0][1]


class Visibility(NamedTuple):
    """Who may see a user from here on."""

    revision: int
    user_id: str
    visibility: str
    reason: str
    standings: tuple[tuple[str, int, int], ...]
    """Those that were not final."""


Correction: TypeAlias = Reversal | Visibility
Step: TypeAlias = Award | Correction
"""What moves standings."""


def read_corrections(entries: Iterable[Entry]) -> list[Correction]:
    """Read the corrections among the entries of a ledger."""
    read = {_REVERSAL: _read_reversal, _VISIBILITY: _read_visibility}
    return [read[entry.kind](entry) for entry in entries if entry.kind in read]


def narrow(steps: Iterable[Step], period_id: str) -> list[Step]:
    """Choose what moves the standings of a period: what was frozen keeps awards that go later."""
    members, chosen = set[int](), list[Step]()
    for step in steps:
        match step:
            case Award():
                if any(period_id == one for one, _ in step.periods):
                    members.add(step.revision)
                    chosen.append(step)
            case Reversal():
                if step.award_revision in members and period_id not in step.final_periods:
                    chosen.append(step)
            case Visibility():
                chosen.append(step)
    return chosen


def _read_reversal(entry: Entry) -> Correction:
    body = json.loads(entry.body)
    return Reversal(
        entry.revision,
        body["reversal_id"],
        body["award_id"],
        body["award_revision"],
        body["user_id"],
        body["points"],
        tuple(body["final_periods"]),
        body["reason"],
        tuple(map(tuple, body["standings"])),
    )


def _read_visibility(entry: Entry) -> Correction:
    body = json.loads(entry.body)
    standings = tuple(map(tuple, body["standings"]))
    return Visibility(entry.revision, body["user_id"], body["visibility"], body["reason"], standings)
