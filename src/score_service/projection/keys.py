"""Names of keys and channels in Redis.

Those of a board share a hash tag, so that a cluster keeps them together. The name of a generation is part of
the keys of its ranks.
"""

from collections.abc import Iterable

from score_service.domain.board.period import ALL_TIME


class Keys:
    """The names under one prefix."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def of_board(self, board_id: str, generation: str, period_ids: Iterable[str] = ()) -> list[str]:
        """Return the keys of a board as its scripts are given them: header, and those of a generation."""
        return [self.header(board_id), *self.of_generation(board_id, generation, period_ids)]

    def of_generation(self, board_id: str, generation: str, period_ids: Iterable[str] = ()) -> list[str]:
        """Return the keys of standings in a generation: ranks and totals, of all time and of each period."""
        names = (f"{self._board(board_id)}:{generation}:{period_id}" for period_id in (ALL_TIME, *period_ids))
        return [key for name in names for key in (f"{name}:ranks", f"{name}:totals")]

    def header(self, board_id: str) -> str:
        """Return the key that says where a board stands."""
        return f"{self._board(board_id)}:header"

    def progress(self, board_id: str, generation: str) -> str:
        """Return the key that says by how many steps a generation was made, and how to go on."""
        return f"{self._board(board_id)}:{generation}:progress"

    def making(self, board_id: str) -> str:
        """Return the key that names the generation of a board that is being made."""
        return f"{self._board(board_id)}:making"

    def check(self, board_id: str) -> str:
        """Return a key of a board that is never there."""
        return f"{self._board(board_id)}:check"

    def channel(self, board_id: str) -> str:
        """Return the channel of a board's hints: in a cluster, of the slot of its keys."""
        return f"{self._board(board_id)}:changes"

    def _board(self, board_id: str) -> str:
        return f"{self._prefix}{{{board_id}}}"
