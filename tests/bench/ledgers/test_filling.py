"""Ledgers that are filled in, on a real PostgreSQL: they are as if awards had been made."""

from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg.rows import DictRow, dict_row
from tests.fixtures.servers import postgres
from tests.fixtures.servers.stores import NO_RETRIES, make_award

from bench.ledgers.filling import award_id_at, fill
from bench.ledgers.size import LedgerSize
from score_service.operations.verifier import Verifier
from score_service.record.database import Database
from score_service.record.ledger import Ledger
from score_service.record.standings import Standings

SIZE = LedgerSize(awards=990, boards=3)
_KEYS = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'score' AND tablename = 'award' ORDER BY 1"


@pytest.fixture
async def owner(database: postgres.Database) -> AsyncIterator[psycopg.AsyncConnection[DictRow]]:
    connect = psycopg.AsyncConnection.connect
    async with await connect(database.score_owner_dsn, autocommit=True, row_factory=dict_row) as connection:
        yield connection


async def test_filled_ledgers_verify_also_after_awards_that_follow(
    owner: psycopg.AsyncConnection[DictRow], record: Database, ledger: Ledger
) -> None:
    await fill(owner, SIZE)
    verifier = Verifier(record, Standings(record), NO_RETRIES)
    for board_id in SIZE.board_ids:
        before = await verifier.verify_board(board_id)
        assert (before.kinds, before.commits) == ({"award": 330}, 4)
        await ledger.record_awards(board_id, [make_award("player-0007"), make_award("player-new")])
        after = await verifier.verify_board(board_id)
        assert (after.kinds, after.standings) == ({"award": 332}, before.standings + 1)
        assert not before.findings
        assert not after.findings


async def test_users_have_several_awards_each_where_there_are_more_awards_than_users(
    owner: psycopg.AsyncConnection[DictRow],
    record: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bench.ledgers.size.USERS", 96)
    await fill(owner, SIZE)
    for board_id in SIZE.board_ids:
        verified = await Verifier(record, Standings(record), NO_RETRIES).verify_board(board_id)
        assert (verified.standings, list(verified.findings.kept)) == (32, [])


async def test_awards_are_found_by_the_ids_that_follow_from_their_revisions(
    owner: psycopg.AsyncConnection[DictRow], ledger: Ledger
) -> None:
    await fill(owner, SIZE)
    for revision in (1, 100, 330):
        award_id = award_id_at("bench-ledger-0001", revision)
        assert (await ledger.get_award("bench-ledger-0001", str(award_id))).revision == revision


async def test_keys_are_those_of_the_migrations_afterwards(owner: psycopg.AsyncConnection[DictRow]) -> None:
    before = await (await owner.execute(_KEYS)).fetchall()
    await fill(owner, SIZE)
    assert await (await owner.execute(_KEYS)).fetchall() == before
