"""How long a ledger is, and with how much memory it is measured. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

USERS: Final = 100_000
"""On all boards together, where there are as many awards."""
_BYTES_AN_AWARD: Final = 450
"""Of the data directory while it is filled: rows, keys, commits, and what sorting the keys takes."""
_BYTES_BESIDE: Final = 4 * 2**30
"""WAL, the short ledgers, and the rest of the stack."""
_MEMORY: Final = re.compile(r"[1-9][0-9]{0,8}(kB|MB|GB)", re.ASCII)


class LedgerSizeError(Exception):
    """A ledger cannot be as it is asked for."""


@dataclass(frozen=True, slots=True)
class LedgerSize:
    """So many awards, spread evenly over so many boards."""

    awards: int = 1_000_000
    boards: int = 1
    shared_buffers: str = "128MB"
    """Of PostgreSQL, as it writes it; that is its default."""

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Take it from `LEDGER_AWARDS`, `LEDGER_BOARDS` and `LEDGER_SHARED_BUFFERS`.

        Raises:
            LedgerSizeError: one of them is wrong.
        """
        default = cls()
        awards = _read_count(environment, "LEDGER_AWARDS", default.awards)
        boards = _read_count(environment, "LEDGER_BOARDS", default.boards)
        if boards > awards:
            raise LedgerSizeError("LEDGER_BOARDS must not be more than LEDGER_AWARDS.")
        shared_buffers = environment.get("LEDGER_SHARED_BUFFERS") or default.shared_buffers
        if not _MEMORY.fullmatch(shared_buffers):
            raise LedgerSizeError(f"LEDGER_SHARED_BUFFERS={shared_buffers!r} must be such as 128MB or 2GB.")
        return cls(awards, boards, shared_buffers)

    @property
    def board_ids(self) -> list[str]:
        """Name the boards."""
        return [f"bench-ledger-{number:04}" for number in range(self.boards)]

    @property
    def awards_a_board(self) -> int:
        """Return how long the ledger of each board is."""
        return self.awards // self.boards

    @property
    def users_a_board(self) -> int:
        """Return how many users have awards on each board."""
        return max(1, min(USERS // self.boards, self.awards_a_board))

    @property
    def disk_bytes(self) -> int:
        """Estimate the disk that it needs."""
        return _BYTES_BESIDE + self.awards * _BYTES_AN_AWARD


def _read_count(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= 10**10):
        raise LedgerSizeError(f"{name}={text!r} must be a number from 1 to 10,000,000,000.")
    return int(text)
