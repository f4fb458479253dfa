"""What must hold of watches: the messages lead from the top to the end, and leave no change out. Pure.

A watch comes back with the position of the last message that vouches for all before it, or an older one. The
snapshot of a watch that was resumed does not: the changes come after it. A watch of the current period begins
anew with each period, by a snapshot that names it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from faults.model.board import Board
from faults.model.claim import Claim, Ranks
from faults.model.corrections import ALL_TIME, Step, Visibility
from faults.model.epochs import RECOVERY_SECONDS, Epochs
from faults.model.findings import Finding, Kind
from faults.model.history import Message, Row
from faults.rules.positions import Sight, check_sight, locate
from faults.rules.streams.progress import Progress

LAG: Final = RECOVERY_SECONDS + 1.0
"""Seconds for which a watch may be of a lost history: its hub looks once a second."""
SNAPSHOT: Final = "snapshot"


@dataclass(slots=True)
class Watch:
    """One watch, across its connections. `claims` are to be weighed."""

    name: str
    board: Board
    """Of the period that it shows now, where it shows one."""
    epochs: Epochs
    claims: list[tuple[Board, Claim]] = field(default_factory=list)
    _whole: Board = field(init=False)
    _progress: Progress = field(init=False)
    _period: str = ""
    _connection: int | None = None
    _last: str | None = None
    """Position of the last message."""
    _vouched: str | None = None
    """The position to resume from."""
    _since: int = 0
    """The revision at which it began, or began anew."""
    _all_scores: bool = False
    _users: Sequence[str] = ()
    _size: int = 0
    _top: Sequence[Row] = ()
    _rows: dict[str, Row] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._whole = self.board
        self._progress = Progress(self.name, self.epochs)

    def take(self, message: Message) -> Iterable[Finding]:
        """Take a message, and find what is wrong with it."""
        turns = message.event == SNAPSHOT and message.period != self._period
        if turns:
            self._period = message.period
            self.board = self._whole.of_period(message.period)
        sight = self._sight(message)
        yield from check_sight(sight, self.board, self.epochs)
        yield from self._progress.take(message, self.board)
        located = locate(sight, self.board, self.epochs)
        is_new, is_snapshot = message.connection != self._connection, message.event == SNAPSHOT
        is_anew = message.reset or self._vouched is None or turns
        if is_new and message.after is not None:
            self._vouched = message.after
        if is_new and not is_snapshot:
            yield Finding(Kind.STREAM_UNFOUNDED, f"{sight.who} at {message.at:.3f}: {message.event}")
        if located:
            self.claims.append((self.board, self._claim(message, located)))
            if not is_anew:
                yield from self._check_step(message, located, is_new=is_new, is_snapshot=is_snapshot)
        self._keep(message, is_anew=is_anew, vouches=is_anew or not is_snapshot)

    def end(self) -> Iterable[Finding]:
        """Take it that no more comes, and find what is missing."""
        end = self.board.end
        if not self._whole.end.awards:
            return  # Watches of a board that is gone have ended.
        if self._all_scores and not self._has_seen_all():
            where = f"{self.name}: {self._vouched}, where {end.ledger.position} is the head"
            yield Finding(Kind.STREAM_UNFINISHED, where)
        claim = Claim(
            kind=Kind.STREAM_UNFINISHED,
            who=f"the last of {self.name}",
            revision=end.ledger.revision,
            epochs=1 << max(self.board.lines),
            top=self._top,
            size=self._size,
            rows=[row._replace(rank=None) for row in self._rows.values()],
            users=sorted(self._wanted(self._since_then())),
            ranks=Ranks.IF_SENT,
        )
        self.claims.append((self.board, claim))

    def _check_step(
        self, message: Message, located: int, *, is_new: bool, is_snapshot: bool
    ) -> Iterable[Finding]:
        former = self._vouched if is_new else self._last
        if not self._leads(former, message):
            yield Finding(Kind.STREAM_BACK, f"{self.name} at {message.at:.3f}: {former}, {message.position}")
        elif not is_snapshot:
            first, line = _revision(self._vouched), self.board.line_of(located)
            changed = self._changed(line.steps_between(first, message.revision))
            if untold := self._wanted(changed) - {row.user_id for row in message.scores}:
                where = f"{self.name} at {message.at:.3f}: {self._vouched} to {message.position}"
                yield Finding(Kind.CHANGE_NOT_SENT, f"{where}: {sorted(untold)}")

    def _has_seen_all(self) -> bool:
        """Return whether nothing was changed after the position that it would resume from."""
        at, end = self._vouched, self.board.end
        is_of_end = at is not None and bool(self.board.epochs_of(at) & 1 << max(self.board.lines))
        return is_of_end and not self._changed(end.steps_between(_revision(at), end.ledger.revision))

    def _since_then(self) -> set[str]:
        """Return whose standings changed since it began, or began anew."""
        return self._changed(self.board.end.steps_between(self._since, self.board.end.ledger.revision))

    def _changed(self, steps: Iterable[Step]) -> set[str]:
        """Return whose standings were changed: a result that is final changes for nobody."""
        scope = self._period or ALL_TIME
        return {
            step.user_id
            for step in steps
            if not isinstance(step, Visibility) or any(scope == one for one, *_ in step.standings)
        }

    def _wanted(self, users: set[str]) -> set[str]:
        return users if self._all_scores else users.intersection(self._users)

    def _leads(self, former: str | None, message: Message) -> bool:
        """Return whether a history goes from a position to that of a message."""
        if former is None or message.position is None:
            return True
        has_both = self.board.epochs_of(former) & self.board.epochs_of(message.position)
        return bool(has_both) and _revision(former) <= message.revision

    def _keep(self, message: Message, *, is_anew: bool, vouches: bool) -> None:
        self._connection, self._last = message.connection, message.position
        self._all_scores, self._users, self._size = message.all_scores, message.user_ids, message.top_n
        if is_anew:
            self._rows.clear()
            self._since = message.revision
        if vouches:
            self._vouched = message.position
        if message.top is not None:
            self._top = message.top
        self._rows.update((row.user_id, row) for row in message.scores)

    def _sight(self, message: Message) -> Sight:
        return Sight(
            who=f"{self.name}, connection {message.connection}",
            revision=message.revision,
            position=message.position,
            began=message.at,
            ended=message.at,
            lag=LAG,
        )

    def _claim(self, message: Message, located: int) -> Claim:
        return Claim(
            kind=Kind.STREAM_WRONG,
            who=f"{message.event} of {self.name} at {message.at:.3f}: {message.position}",
            revision=message.revision,
            epochs=located,
            top=message.top,
            size=message.top_n,
            rows=message.scores,
            ranks=Ranks.IF_SENT,
        )


def _revision(position: str | None) -> int:
    return int(position.partition("-")[0]) if position else 0
