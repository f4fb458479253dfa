"""A frame: what a board became, as all of its watchers get it. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from score_service.domain.board.period import PeriodView
from score_service.domain.ledger.position import Position
from score_service.domain.standings.standing import Source, Standing
from score_service.domain.standings.watch import Body, Checkpoint, Snapshot, Update, WatchMessage

_Shape: TypeAlias = tuple[type[Body], int, bool]


@dataclass(frozen=True, slots=True)
class Frame:
    """What a board became since the frame before. All of it holds at one position.

    A message that many watchers get is made once.
    """

    position: Position
    top: tuple[Standing, ...]
    """The first `MAX_TOP`, of all time or of the period."""
    scores: Mapping[str, Standing]
    """The standings that changed, by user."""
    source: Source = Source.CACHE
    reset: bool = False
    """The history before this frame is another one, or what changed is not known."""
    period: PeriodView | None = None
    """The period that is shown; None for all time."""
    turns_over: bool = False
    """Whether another period was shown before this frame, or this one was not final yet. `scores` has what
    changed in it since then."""
    _tops: dict[int, tuple[Standing, ...]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )
    _messages: dict[_Shape, WatchMessage] = field(default_factory=dict, init=False, compare=False, repr=False)

    def first(self, top_n: int) -> tuple[Standing, ...]:
        """Return the first so many of the board."""
        return self._tops.setdefault(top_n, self.top[:top_n])

    def snapshot(self, top_n: int, *, reset: bool) -> WatchMessage:
        """Return the top."""
        return self._share((Snapshot, top_n, reset), Snapshot(self.first(top_n), reset, self.period))

    def update(self, top_n: int) -> WatchMessage:
        """Return the top, which has changed."""
        return self._share((Update, top_n, False), Update(self.first(top_n), ()))

    def checkpoint(self) -> WatchMessage:
        """Return that nothing has changed."""
        return self._share((Checkpoint, 0, False), Checkpoint())

    def message(self, body: Body) -> WatchMessage:
        """Return a message for one watcher alone."""
        return WatchMessage(body, self.position, self.source)

    def _share(self, shape: _Shape, body: Body) -> WatchMessage:
        return self._messages.get(shape) or self._messages.setdefault(shape, self.message(body))
