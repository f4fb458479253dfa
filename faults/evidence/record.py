"""Reads the whole record out of PostgreSQL, with statements of its own, in one snapshot.

What was deleted there is read from the files of the ledgers.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from sys import intern
from typing import Any, Final, TypeVar

import psycopg

from faults.evidence.files import Filed, Key, read_files, trace_back
from faults.evidence.sql import load_statement
from faults.model.ledger import Award, Commit, Entry, Head, Ledger, Period, Place, Record, Total

_ROWS_AT_ONCE: Final = 10_000
_ALL_TIME: Final = "all_time"
_REVISION: Final = attrgetter("revision")

_T = TypeVar("_T")


def read_record(dsn: str, former: Sequence[Record] = (), folder: Path | None = None) -> Record:
    """Read every board.

    Args:
        dsn: of a role that may read the schema `score`; the owner's, or a superuser's.
        former: records of earlier epochs. What is the same in them is kept once.
        folder: with the files of ledgers, if there are any.

    Raises:
        psycopg.Error: the server is unavailable, or has no such record.
    """
    filed = read_files(folder) if folder else {}
    with psycopg.connect(dsn) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        return _read(connection, former, filed)


def _read(connection: psycopg.Connection[Any], former: Sequence[Record], filed: Filed) -> Record:
    heads = {board_id: Head(*head) for board_id, *head in _fetch(connection, "read_heads")}
    awards = _read_awards(connection, former)
    commits = _read_lists(connection, "read_commits", Commit._make)
    standings = defaultdict[str, dict[str, dict[str, Total]]](lambda: defaultdict(dict))
    for board_id, period, user_id, *total in _fetch(connection, "read_standings"):
        standings[board_id][intern(period)][intern(user_id)] = Total(*total)
    entries = _read_lists(connection, "read_entries", Entry._make)
    periods = _read_lists(connection, "read_periods", Period._make)
    results = defaultdict[str, dict[str, list[Place]]](lambda: defaultdict(list))
    for board_id, period_id, *place in _fetch(connection, "read_results"):
        results[board_id][period_id].append(Place(*place))
    cuts = {board_id: int(cut) for board_id, cut in _fetch(connection, "read_cuts")}
    archived_ids = defaultdict[str, dict[str, int]](dict)
    for board_id, award_id, revision in _fetch(connection, "read_archived_ids"):
        archived_ids[board_id][award_id] = revision
    record = {
        board_id: Ledger(
            board_id,
            heads.get(board_id),
            awards[board_id],
            commits[board_id],
            standings[board_id].pop(_ALL_TIME, {}),
            entries[board_id],
            periods[board_id],
            standings[board_id],
            results[board_id],
            cuts.get(board_id, 0),
            archived_ids=archived_ids[board_id],
        )
        for board_id in sorted(heads.keys() | awards.keys() | commits.keys() | standings.keys())
    }
    return {board_id: _complete(ledger, former, filed) for board_id, ledger in record.items()}


def _complete(ledger: Ledger, former: Sequence[Record], filed: Filed) -> Ledger:
    """Add what files have of the awards and commits up to the cut that the record has no rows of."""
    if not ledger.cut or not ledger.commits:
        return ledger
    kept = {award.revision for award in ledger.awards[: _place_of(ledger.awards, ledger.cut + 1)]}
    first = ledger.commits[0]
    awards, commits = trace_back(filed, Key(ledger.board_id, first.last_revision, first.digest))
    deleted = [
        _find_same(award, ledger.board_id, former)
        for award in map(_share, awards)
        if award.revision <= ledger.cut and award.revision not in kept
    ]
    return replace(
        ledger,
        awards=sorted([*deleted, *ledger.awards], key=_REVISION),
        commits=[*commits[:-1], *ledger.commits],
        deleted=deleted,
    )


def _read_lists(
    connection: psycopg.Connection[Any], statement: str, make: Callable[[Iterable[Any]], _T]
) -> defaultdict[str, list[_T]]:
    """Read rows that begin with the id of their board."""
    lists = defaultdict[str, list[_T]](list)
    for board_id, *fields in _fetch(connection, statement):
        lists[board_id].append(make(fields))
    return lists


def _read_awards(
    connection: psycopg.Connection[Any], former: Sequence[Record]
) -> defaultdict[str, list[Award]]:
    awards = defaultdict[str, list[Award]](list)
    for board_id, *fields, period_ids, totals in _fetch(connection, "read_awards"):
        periods = tuple(zip(map(intern, period_ids), totals or (), strict=True))
        award = _share(Award._make([*fields, periods]))
        awards[board_id].append(_find_same(award, board_id, former))
    return awards


def _share(award: Award) -> Award:
    # What a few hundred thousand awards have in common is kept once.
    return award._replace(
        user_id=intern(award.user_id),
        action_type=intern(award.action_type),
        action_id=intern(award.action_id),
        caller=intern(award.caller),
    )


def _find_same(award: Award, board_id: str, former: Sequence[Record]) -> Award:
    for record in former:
        ledger = record.get(board_id)
        index = _place_of(ledger.awards, award.revision) if ledger else 0
        if ledger and index < len(ledger.awards) and ledger.awards[index] == award:
            return ledger.awards[index]
    return award


def _place_of(awards: Sequence[Award], revision: int) -> int:
    return bisect_left(awards, revision, key=_REVISION)


def _fetch(connection: psycopg.Connection[Any], statement: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a statement, of which only some are in memory at a time."""
    with connection.cursor(name=statement) as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        yield from cursor.execute(load_statement(statement))
