"""What a watcher makes of its messages, across all the watches it takes, and the model's judgement. Pure."""

from dataclasses import dataclass, field
from typing import NamedTuple

from tests.score_service.history.calendar import holding
from tests.score_service.history.ledger import store
from tests.score_service.history.model import Model

from score_service.domain.board.period import ALL_TIME, PeriodKind, PeriodView
from score_service.domain.ledger.position import Position
from score_service.domain.standings.standing import Standing
from score_service.domain.standings.watch import Checkpoint, Snapshot, Update, WatchMessage


class _Received(NamedTuple):
    """A message, and the position it must not step back from."""

    message: WatchMessage
    after: Position | None
    is_first: bool
    """Whether a watch begins with it."""


@dataclass
class Viewer:
    """What a watcher makes of its messages, across all the watches it takes."""

    model: Model
    top_n: int
    kind: PeriodKind | None = None
    """It watches the current period of this kind; None for all time."""
    period_id: str = ALL_TIME
    """What it was shown last."""
    position: Position | None = None
    """To resume from."""
    top: tuple[Standing, ...] = ()
    totals: dict[str, int] = field(default_factory=dict)
    since: int = 0
    """The revision at which it began, or began anew."""
    resets: int = 0
    _received: list[_Received] = field(default_factory=list)
    """Not judged yet."""
    _last: Position | None = None
    _is_first: bool = True
    _is_resuming: bool = False

    def begin(self) -> Position | None:
        """Begin a watch; gives where to go on from."""
        self._last, self._is_first, self._is_resuming = self.position, True, self.position is not None
        return self.position

    def receive(self, message: WatchMessage) -> None:
        """Take in a message."""
        self._received.append(_Received(message, self._last, self._is_first))
        self._is_first, self._last = False, message.position
        # What came between the two positions is sent after the snapshot of a watch that was resumed.
        if not self._is_resuming or not isinstance(message.body, Snapshot) or message.body.reset:
            self._is_resuming = False
            self.position = message.position

    def judge(self) -> None:
        """Check the messages that have come, and add them up."""
        received, self._received = self._received, []
        for message, after, is_first in received:
            assert is_first <= isinstance(message.body, Snapshot), "a watch begins without the top"
            if self._add(message, is_anew=after is None):
                continue
            assert after is None or self.model.descends(message.position, after), "a watch stepped back"

    def _add(self, message: WatchMessage, *, is_anew: bool) -> bool:
        """Add up a message, and tell whether it begins anew."""
        match message.body:
            case Snapshot(top, reset, period):
                is_anew = self._turn_to(message.position, period) or is_anew or reset
                self.top = top
                self.resets += reset
            case Update(top, scores):
                self.model.check_shown(message.position, scores, self.period_id)
                self.totals |= {standing.user_id: standing.total for standing in scores}
                self.top = self.top if top is None else top
            case Checkpoint():
                pass
        if is_anew:
            self.totals, self.since = {}, message.position.revision
        whole = self.model.shown_at(message.position, self.period_id)
        assert self.top == whole.ranked[: self.top_n], f"the top at {message.position} is not what was told"
        return is_anew

    def _turn_to(self, position: Position, period: PeriodView | None) -> bool:
        """Take in what period a snapshot is of, and tell whether it is another one."""
        before, self.period_id = self.period_id, period.period.period_id if period else ALL_TIME
        assert (period is None) == (self.kind is None), "a snapshot of what is not watched"
        if period and self.kind:
            current = [holding(self.kind, time) for time in self.model.times]
            assert self.period_id in {span.period_id for span in current if span}, "a period of another time"
            assert period.entrants == len(self.model.shown_at(position, self.period_id).ranked), (
                "other entrants"
            )
        return self.period_id != before

    def has_arrived(self) -> bool:
        """Return whether it stands at the end of the ledger, and is shown what is current."""
        span = self.kind and holding(self.kind, self.model.now)
        return self.position == self.model.head and self.period_id == (span.period_id if span else ALL_TIME)

    def check_end(self) -> None:
        """Check that it knows what the ledger adds up to, as far as it was there."""
        assert self.position == self.model.head
        own = self.model.shown_at(self.model.head, self.period_id).own
        for standing in store(self.model.steps, self.period_id):
            if standing.version > self.since or standing.user_id in self.totals:
                total = own[standing.user_id].total if standing.user_id in own else 0
                assert self.totals.get(standing.user_id) == total, f"{standing} was not told"
