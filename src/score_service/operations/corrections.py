"""What corrections come to on a board: awards that were taken back, and users who were hidden. Pure.

Every entry is worked out anew from the awards before it, and compared with what it says. After a fault it
goes on from what was worked out.
"""

import json
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.findings import Fault, Findings
from score_service.operations.tallies import Line, Tallies, Tally

_VISIBLE: Final = "visible"
_VISIBILITIES: Final = frozenset({_VISIBLE, "hidden", "shadowed"})


class StandingAward(NamedTuple):
    """An award that was not taken back."""

    award_id: str
    points: int
    periods: tuple[str, ...]
    """The ids of the periods that it counts in."""


ARCHIVED_AWARDS: Final = StandingAward("", 0, ())
"""Stands for all awards of a user up to the cut, at the revision of the latest of them that stands."""


class ReversalRow(NamedTuple):
    """What the row of a reversal says."""

    reversal_id: str
    award_revision: int
    final_periods: tuple[str, ...]


class VisibilityRow(NamedTuple):
    """What the row of a user who was hidden once says."""

    visibility: str
    revision: int


class Corrections:
    """Takes the corrections of one board, along its ledger.

    It keeps the awards of those users alone of whom any was taken back.
    """

    def __init__(self, tallies: Tallies, findings: Findings) -> None:
        self.reversals: dict[int, ReversalRow] = {}
        """By the revisions of their entries."""
        self.visibilities: dict[str, VisibilityRow] = {}
        """By user, of those who were hidden once."""
        self._awards: dict[str, dict[int, StandingAward]] = {}
        """By user and revision, in order."""
        self._reversal_ids: set[str] = set()
        self._tallies = tallies
        self._findings = findings

    def lacks_awards(self, body: str) -> str | None:
        """Return the user whose awards have to be known before an entry of a reversal is taken, if any."""
        user_id = _read(body).get("user_id")
        return user_id if isinstance(user_id, str) and user_id not in self._awards else None

    def take_awards(self, user_id: str, awards: Mapping[int, StandingAward]) -> None:
        """Know all awards of a user up to here, in order, of whom none was taken back so far.

        Where some of them are archived, see `ARCHIVED_AWARDS`.
        """
        self._awards[user_id] = dict(awards)

    @property
    def known_users(self) -> Collection[str]:
        """The users whose awards are known."""
        return self._awards.keys()

    def find_standing(self, user_id: str, without: Container[int]) -> int:
        """Return the latest award of a user that stands, if some more were taken back; 0 if there is none."""
        if user_id in self._awards:
            return next((r for r in reversed(self._awards[user_id]) if r not in without), 0)
        tally = self._tallies.all_time.get(user_id)
        return tally.award_revision if tally else 0

    def count(self, revision: int, user_id: str, award: StandingAward) -> None:
        """Go on by one award."""
        if user_id in self._awards:
            self._awards[user_id][revision] = award

    def reverse(self, revision: int, body: str) -> None:
        """Go on by one entry of a reversal."""
        said = _read(body)
        user_id = said.get("user_id")
        awards = self._awards.get(user_id, {}) if isinstance(user_id, str) else {}
        award = awards.pop(said.get("award_revision", 0), None)
        final = said.get("final_periods")
        if not isinstance(user_id, str) or award is None or not isinstance(final, list):
            self._findings.add(Fault.ENTRY_WRONG, revision, user_id if isinstance(user_id, str) else None)
            return
        standings, is_right = list[list[object]](), True
        for period_id in (ALL_TIME, *(period_id for period_id in award.periods if period_id not in final)):
            tally = self._tallies.reverse(revision, user_id, award.points, period_id)
            if tally is None:  # The period is final, or it has no points of the user.
                is_right = False
                continue
            tally.reached_revision = _find_last(awards, period_id) if tally.total else 0
            standings.append([period_id, tally.total, tally.reached_revision])
        for period_id in final:
            self._tallies.note_final(revision, period_id)
        expected = {
            "award_id": award.award_id,
            "final_periods": [period_id for period_id in award.periods if period_id in final],
            "points": award.points,
            "standings": standings,
        }
        reversal_id = str(said.get("reversal_id"))
        is_right &= all(said.get(key) == value for key, value in expected.items())
        if not is_right or reversal_id in self._reversal_ids:
            self._findings.add(Fault.ENTRY_WRONG, revision, user_id)
        self._reversal_ids.add(reversal_id)
        self.reversals[revision] = ReversalRow(reversal_id, said["award_revision"], tuple(final))

    def set_visibility(self, revision: int, body: str) -> None:
        """Go on by one entry of visibility."""
        said = _read(body)
        user_id, visibility = said.get("user_id"), said.get("visibility")
        if not isinstance(user_id, str) or user_id not in self._tallies.all_time:
            self._findings.add(Fault.ENTRY_WRONG, revision)
            return
        standings = list[list[object]]()
        for period_id in (ALL_TIME, *self._tallies.live):
            if tally := self._tallies.of(period_id).get(user_id):
                tally.changed_revision = revision
                standings.append([period_id, tally.total, tally.reached_revision])
        before = self.visibilities.get(user_id, VisibilityRow(_VISIBLE, 0)).visibility
        is_other = visibility in _VISIBILITIES and visibility != before
        if not is_other or not _is_same(said.get("standings"), standings):
            self._findings.add(Fault.ENTRY_WRONG, revision, user_id)
        self.visibilities[user_id] = VisibilityRow(str(visibility), revision)

    def write_lines(self) -> Iterator[Line]:
        """Write all that is known of corrections, for `read_line` to take."""
        for revision, reversal in self.reversals.items():
            yield ["reversal", revision, *reversal]
        for user_id, visibility in self.visibilities.items():
            yield ["visibility", user_id, *visibility]
        for user_id, awards in sorted(self._awards.items()):
            yield ["awards", user_id, [[revision, *award] for revision, award in awards.items()]]

    def read_line(self, line: Line) -> bool:
        """Take a line that was written, and return whether it is one of those."""
        kind, key, *fields = line
        if kind == "reversal":
            reversal_id, award_revision, final_periods = fields
            self.reversals[key] = ReversalRow(reversal_id, award_revision, tuple(final_periods))
            self._reversal_ids.add(reversal_id)
        elif kind == "visibility":
            self.visibilities[key] = VisibilityRow(*fields)
        elif kind == "awards":
            self._awards[key] = {
                revision: StandingAward(award_id, points, tuple(periods))
                for revision, award_id, points, periods in fields[0]
            }
        else:
            return False
        return True

    def find_last_awards(self) -> dict[str, int]:
        """Return the latest award of each user of whom that one was taken back."""
        return {
            user_id: tally.award_revision
            for user_id in self._awards
            if (tally := self._tallies.all_time.get(user_id)) and _lost_its_last(tally)
        }


def _find_last(awards: dict[int, StandingAward], period_id: str) -> int:
    """Return the revision of the latest award that counts in a period; 0 if there is none."""
    return next(
        (
            revision
            for revision in reversed(awards)
            if period_id == ALL_TIME or period_id in awards[revision].periods
        ),
        0,
    )


def _lost_its_last(tally: Tally) -> bool:
    return tally.award_revision != tally.reached_revision


def _read(body: str) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _is_same(said: object, standings: Iterable[list[object]]) -> bool:
    """Return whether an entry says what standings are, in whatever order."""
    return isinstance(said, list) and sorted(map(str, said)) == sorted(map(str, standings))
