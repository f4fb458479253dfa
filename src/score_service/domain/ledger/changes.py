"""What the ledger says of users between two of its positions. Pure.

The ledger writes these and the projection applies them; neither knows the other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.position import Position
from score_service.domain.ledger.visibility import Visibility


class Change(NamedTuple):
    """What a user's standing became."""

    user_id: str
    total: int
    reached_revision: int
    """The revision at which the user reached the total: of the latest award that stands. It decides ties."""
    version: int | None = None
    """The revision that changed the standing; None where it is the one at which the total was reached."""
    visibility: Visibility | None = None
    """Who may see the user from here on; None where that did not change."""

    @property
    def line(self) -> str:
        """Write it as `user_id total reached_revision[ version[ flag]]`."""
        line = f"{self.user_id} {self.total} {self.reached_revision}"
        if self.visibility is not None:
            return f"{line} {self.version or self.reached_revision} {self.visibility.flag}"
        return line if self.version is None else f"{line} {self.version}"


@dataclass(frozen=True, slots=True)
class Changes:
    """The newest change of each user between two positions of a board's ledger."""

    board_id: str
    before: Position
    after: Position
    changes: tuple[Change, ...]
    """Of all time."""
    periods: Mapping[str, str] = field(default_factory=dict)
    """Of periods, by their ids, as `write_lines` writes them: they are many, and go from the ledger to the
    projection as they are. Of none that became final in between."""
    finished: tuple[str, ...] = ()
    """The periods that became final in between. The projection has them no more."""

    def lines(self, period_id: str = ALL_TIME) -> str:
        """Write the changes of all time or of a period, a line each."""
        return write_lines(self.changes) if period_id == ALL_TIME else self.periods[period_id]


def write_lines(changes: Iterable[Change]) -> str:
    """Write changes, a line each."""
    return "\n".join([change.line for change in changes])


def read_lines(lines: str) -> tuple[Change, ...]:
    """Read what `write_lines` made.

    Raises:
        ValueError: there is no such visibility, or a number is none.
    """
    return tuple(_read_line(*line.split(" ")) for line in lines.splitlines())


def _read_line(user_id: str, total: str, reached: str, version: str = "", flag: str = "") -> Change:
    return Change(
        user_id,
        int(total),
        int(reached),
        int(version) if version else None,
        Visibility.of_flag(flag) if flag else None,
    )
