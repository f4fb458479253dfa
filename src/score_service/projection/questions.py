"""What a board can be asked, and how its answers read. Pure.

The words are those of `read_board.lua`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.position import Position
from score_service.domain.standings.standing import Reading
from score_service.domain.tokens.page_token import PageEnd
from score_service.projection.replies import read_neighbours, read_page, read_standings


class Question(NamedTuple):
    """A question about a board."""

    kind: str
    arguments: tuple[str, ...]
    size: int
    """How many standings it asks for, at most."""
    period_id: str = ALL_TIME
    """What it is about."""

    def words(self, indexes: Mapping[str, int]) -> tuple[str, ...]:
        """Return its words in the arguments of the script, which is given the periods at these indexes."""
        return self.kind, str(indexes[self.period_id]), str(len(self.arguments)), *self.arguments

    def read(self, position: Position, answer: Sequence[Any], ranked: int) -> Reading:
        """Read the answer that holds at a position, where so many users are ranked in what it is about."""
        reading = self._read(position, answer)
        return reading if self.period_id == ALL_TIME else replace(reading, entrants=ranked)

    def _read(self, position: Position, answer: Sequence[Any]) -> Reading:
        match self.kind:
            case "standings":
                return read_standings(position, answer, self.arguments[1:])
            case "page":
                return read_page(position, answer, self.size - 1)
            case _:
                return read_neighbours(position, answer, self.arguments[0])


def list_periods(questions: Iterable[Question]) -> list[str]:
    """Return the ids of the periods that questions are about, each once."""
    return list(dict.fromkeys(q.period_id for q in questions if q.period_id != ALL_TIME))


def ask_standings(user_ids: Sequence[str], top_n: int, period_id: str) -> Question:
    """Ask for the first so many of a board, and for the standings of users."""
    return Question("standings", (str(top_n), *user_ids), top_n + len(user_ids), period_id)


def ask_page(page_size: int, after: PageEnd | None, period_id: str) -> Question:
    """Ask for a page, and for one standing more, which shows whether another page follows."""
    size = page_size + 1
    end = () if after is None else (str(after.total), str(after.reached_revision))
    return Question("page", (str(size), *end), size, period_id)


def ask_neighbours(user_id: str, radius: int, period_id: str) -> Question:
    """Ask for a user and so many neighbours on each side."""
    return Question("neighbours", (user_id, str(radius)), 1 + 2 * radius, period_id)
