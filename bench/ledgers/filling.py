"""Fills a record with ledgers as if awards had been made on its boards, so that `verify` has nothing to find.

The boards take turns, commit by commit, so that their rows lie between each other as they would.
"""

import hashlib
from pathlib import Path
from typing import Final
from uuid import UUID

import psycopg
from psycopg.rows import DictRow

from bench.ledgers.size import LedgerSize
from bench.load.awards import ACTION, CALLER

_COMMIT_SIZE: Final = 100
_KEYS_MEMORY: Final = "256MB"
_FOLDER: Final = Path(__file__).parent


async def fill(connection: psycopg.AsyncConnection[DictRow], size: LedgerSize) -> None:
    """Fill a record that has no awards, as its owner, with a connection that commits by itself."""
    parameters = {
        "board_ids": size.board_ids,
        "awards": size.awards_a_board,
        "users": size.users_a_board,
        "size": _COMMIT_SIZE,
        "caller": CALLER,
        **ACTION,
    }
    # What a crash would take away is made again by the next run.
    await connection.execute("SET synchronous_commit = off")
    await connection.execute("SET jit = off")
    await connection.execute(f"SET maintenance_work_mem = '{_KEYS_MEMORY}'")
    for statement in _read_statements("begin_ledgers"):
        await connection.execute(statement, parameters)
    (add_commits,) = _read_statements("add_commits")
    for _ in range(0, size.awards_a_board, _COMMIT_SIZE):
        await connection.execute(add_commits, parameters)
    for statement in _read_statements("end_ledgers"):
        await connection.execute(statement, parameters)


def award_id_at(board_id: str, revision: int) -> UUID:
    """Return the id of an award that was filled in."""
    return UUID(hashlib.md5(f"{board_id} {revision}".encode(), usedforsecurity=False).hexdigest())


def _read_statements(name: str) -> list[bytes]:
    return (_FOLDER / f"{name}.sql").read_bytes().split(b"\n\n")
