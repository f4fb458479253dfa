"""Names of keys and channels in Redis.

Those of a board share a hash tag, so that a cluster keeps them together. The name of a generation is part of
the keys of its ranks.
"""

from typing import Final

_PERIOD: Final = "all_time"


class Keys:
    """The names under one prefix."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def of_board(self, board_id: str, generation: str) -> list[str]:
        """Return the keys of a board as its scripts are given them: header, ranks, totals."""
        return [f"{self._board(board_id)}:header", *self.of_generation(board_id, generation)]

    def of_generation(self, board_id: str, generation: str) -> list[str]:
        """Return the keys that a generation has for itself: ranks, totals."""
        period = f"{self._board(board_id)}:{generation}:{_PERIOD}"
        return [f"{period}:ranks", f"{period}:totals"]

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
