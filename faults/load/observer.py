"""What one stream has shown so far, and whether that is the board as it is at its head."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from faults.model.history import Closed, History, Message, Row


@dataclass(frozen=True, slots=True)
class Head:
    """A board as it is at its head."""

    position: str
    top: tuple[Row, ...]
    totals: Mapping[str, int]


@dataclass(slots=True, kw_only=True)
class Observer:
    """One stream, across its connections. It records each message and keeps the newest of it."""

    name: str
    board_id: str
    history: History = field(repr=False)
    top_n: int = 10
    period: str = ""
    """What it follows: empty for all time."""
    connection: int = -1
    """-1 before the first."""
    position: str | None = None
    top: tuple[Row, ...] = ()
    totals: dict[str, int] = field(default_factory=dict)

    def take(self, message: Message) -> None:
        """Take a message of the connection that is open."""
        self.history.add(message)
        self.position = message.position
        if message.reset:
            self.totals.clear()
        if message.top is not None:
            self.top = message.top
        self.totals.update({row.user_id: row.total for row in message.scores})

    def close(self, at: float, reason: str) -> None:
        """Note that the connection has ended."""
        self.history.add(Closed(stream=self.name, connection=self.connection, at=at, reason=reason))

    def shows(self, head: Head) -> bool:
        """Return whether a client of this stream knows the board as it is."""
        if self.position == head.position:
            return True
        # Nothing tells a client that what it is not interested in has changed.
        return _scores(self.top) == _scores(head.top[: self.top_n]) and all(
            head.totals.get(user_id, 0) == total for user_id, total in self.totals.items()
        )


def _scores(rows: tuple[Row, ...]) -> list[tuple[str, int]]:
    return [(row.user_id, row.total) for row in rows]
