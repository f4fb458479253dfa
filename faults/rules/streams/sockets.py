"""What must hold of the gateway's sockets and event streams. Pure.

Each connection begins with where things stand. All of a message holds at its revision, but for a rank, which
is one that the user had since reaching the score. Near a restore the top and the score may be of different
histories, and the score of a later revision than the top: only that the user had it is judged then.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from faults.model.board import Board
from faults.model.claim import Claim, Ranks
from faults.model.epochs import Epochs
from faults.model.findings import Finding, Kind
from faults.model.history import Message, Row
from faults.rules.positions import Sight, check_sight, locate
from faults.rules.streams.progress import Progress

LAG: Final = 35.0
"""Seconds for which a socket may be of a lost history: a gateway that has lost its watch goes on telling what
it saw last, and reconnects after half a minute at most."""
INITIAL: Final = "leaderboard:initial"


@dataclass(slots=True)
class Socket:
    """One user's stream, across its connections. `claims` are to be weighed."""

    name: str
    board: Board
    epochs: Epochs
    claims: list[tuple[Board, Claim]] = field(default_factory=list)
    _progress: Progress = field(init=False)
    _last: Message | None = None
    _top: Sequence[Row] = ()
    _score: tuple[Row, ...] = ()

    def __post_init__(self) -> None:
        self._progress = Progress(self.name, self.epochs)

    def take(self, message: Message) -> Iterable[Finding]:
        """Take a message, and find what is wrong with it."""
        sight = self._sight(message)
        yield from check_sight(sight, self.board, self.epochs)
        yield from self._progress.take(message, self.board)
        shown = self.epochs.shown(message.at, message.at, LAG)
        if located := locate(sight, self.board, self.epochs):
            is_sure = shown.bit_count() == 1
            claim = self._claim(message, located, message.scores if is_sure else ())
            self.claims.append((self.board, claim))
            if not is_sure:
                yield from self._check_scores(message, shown)
        yield from self._check_step(message)
        self._keep(message, is_of_end=shown == self._end_bit)

    def end(self) -> Iterable[Finding]:
        """Take it that no more comes, and leave to be weighed what the user knows."""
        end = self.board.end
        claim = Claim(
            kind=Kind.STREAM_UNFINISHED,
            who=f"the last of {self.name}",
            revision=end.ledger.revision,
            epochs=self._end_bit,
            top=self._top,
            size=self._last.top_n if self._last else 0,
            rows=self._score,
            ranks=Ranks.SINCE,
        )
        self.claims.append((self.board, claim))
        return ()

    @property
    def _end_bit(self) -> int:
        return 1 << max(self.board.lines)

    def _keep(self, message: Message, *, is_of_end: bool) -> None:
        self._last = message
        self._top = self._top if message.top is None else message.top
        if message.scores:
            # A score that a restore leaves as it was is not sent again, and its rank is of the lost history.
            self._score = tuple(row if is_of_end else row._replace(rank=None) for row in message.scores)

    def _check_step(self, message: Message) -> Iterable[Finding]:
        former, where = self._last, f"{self.name}, connection {message.connection} at {message.at:.3f}"
        is_new = former is None or former.connection != message.connection
        if is_new != (message.event == INITIAL):
            yield Finding(Kind.STREAM_UNFOUNDED, f"{where}: {message.event}")
        if former is None or is_new or former.revision <= message.revision:
            return
        if not self.epochs.were_restored(former.at, message.at, LAG):
            yield Finding(Kind.STREAM_BACK, f"{where}: {former.revision}, {message.revision}")

    def _sight(self, message: Message) -> Sight:
        return Sight(
            who=f"{self.name}, connection {message.connection}",
            revision=message.revision,
            position=message.position,
            began=message.at,
            ended=message.at,
            lag=LAG,
        )

    def _check_scores(self, message: Message, shown: int) -> Iterable[Finding]:
        for row in message.scores:
            if row.total and not self.board.had_total(row.user_id, row.total, shown):
                where = f"{message.event} of {self.name} at {message.at:.3f}: {message.revision}"
                yield Finding(Kind.STREAM_WRONG, f"{where}: no user ever had {row}")

    def _claim(self, message: Message, located: int, scores: Sequence[Row]) -> Claim:
        return Claim(
            kind=Kind.STREAM_WRONG,
            who=f"{message.event} of {self.name} at {message.at:.3f}: {message.revision}",
            revision=message.revision,
            epochs=located,
            top=message.top,
            size=message.top_n,
            rows=scores,
            ranks=Ranks.SINCE,
        )
