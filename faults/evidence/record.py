"""Reads the whole record out of PostgreSQL, with statements of its own, in one snapshot."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from sys import intern
from typing import Any, Final

import psycopg

from faults.evidence.sql import load_statement
from faults.model.ledger import Award, Commit, Head, Ledger, Record, Total

_ROWS_AT_ONCE: Final = 10_000


def read_record(dsn: str, former: Sequence[Record] = ()) -> Record:
    """Read every board.

    Args:
        dsn: of a role that may read the schema `score`; the owner's, or a superuser's.
        former: records of earlier epochs. What is the same in them is kept once.

    Raises:
        psycopg.Error: the server is unavailable, or has no such record.
    """
    with psycopg.connect(dsn) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        return _read(connection, former)


def _read(connection: psycopg.Connection[Any], former: Sequence[Record]) -> Record:
    heads = {board_id: Head(*head) for board_id, *head in _fetch(connection, "read_heads")}
    awards = _read_awards(connection, former)
    commits = defaultdict[str, list[Commit]](list)
    for board_id, *commit in _fetch(connection, "read_commits"):
        commits[board_id].append(Commit(*commit))
    standings = defaultdict[str, dict[str, Total]](dict)
    for board_id, user_id, *total in _fetch(connection, "read_standings"):
        standings[board_id][intern(user_id)] = Total(*total)
    return {
        board_id: Ledger(
            board_id, heads.get(board_id), awards[board_id], commits[board_id], standings[board_id]
        )
        for board_id in sorted(heads.keys() | awards.keys() | commits.keys() | standings.keys())
    }


def _read_awards(
    connection: psycopg.Connection[Any], former: Sequence[Record]
) -> defaultdict[str, list[Award]]:
    awards = defaultdict[str, list[Award]](list)
    for board_id, *fields in _fetch(connection, "read_awards"):
        board = awards[board_id]
        board.append(_find_same(_make_award(fields), board_id, len(board), former))
    return awards


def _make_award(fields: list[Any]) -> Award:
    award = Award(*fields)
    # What a few hundred thousand awards have in common is kept once.
    return award._replace(
        user_id=intern(award.user_id),
        action_type=intern(award.action_type),
        action_id=intern(award.action_id),
        caller=intern(award.caller),
    )


def _find_same(award: Award, board_id: str, place: int, former: Sequence[Record]) -> Award:
    for record in former:
        ledger = record.get(board_id)
        if ledger and place < len(ledger.awards) and ledger.awards[place] == award:
            return ledger.awards[place]
    return award


def _fetch(connection: psycopg.Connection[Any], statement: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a statement, of which only some are in memory at a time."""
    with connection.cursor(name=statement) as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        yield from cursor.execute(load_statement(statement))
