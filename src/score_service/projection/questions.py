"""What a board can be asked, and how its answers read. Pure.

The words are those of `read_board.lua`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from score_service.domain.page_token import PageEnd
from score_service.domain.position import Position
from score_service.domain.standing import Reading
from score_service.projection.replies import read_neighbours, read_page, read_standings, write_member


class Question(NamedTuple):
    """A question about a board."""

    kind: str
    arguments: tuple[str, ...]
    size: int
    """How many standings it asks for, at most."""

    @property
    def words(self) -> tuple[str, ...]:
        """Its words in the arguments of the script."""
        return self.kind, str(len(self.arguments)), *self.arguments

    def read(self, position: Position, answer: Sequence[Any]) -> Reading:
        """Read the answer that holds at a position."""
        match self.kind:
            case "standings":
                return read_standings(position, answer, self.arguments[1:])
            case "page":
                return read_page(position, answer, self.size - 1)
            case _:
                return read_neighbours(position, answer)


def ask_standings(user_ids: Sequence[str], top_n: int) -> Question:
    """Ask for the first so many of a board, and for the standings of users."""
    return Question("standings", (str(top_n), *user_ids), top_n + len(user_ids))


def ask_page(page_size: int, after: PageEnd | None) -> Question:
    """Ask for a page, and for one standing more, which shows whether another page follows."""
    size = page_size + 1
    if after is None:
        return Question("page", (str(size),), size)
    end = str(after.total), write_member(after.user_id, after.reached_revision)
    return Question("page", (str(size), *end), size)


def ask_neighbours(user_id: str, radius: int) -> Question:
    """Ask for a user and so many neighbours on each side."""
    return Question("neighbours", (user_id, str(radius)), 1 + 2 * radius)
