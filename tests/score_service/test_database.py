"""Statements on a real PostgreSQL that goes away, is cut off, or swallows everything."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.fixtures import postgres
from tests.fixtures.proxy import Proxy
from tests.fixtures.stores import make_award

from score_service.database import Database, DatabaseSettings
from score_service.errors import RecordUnavailableError
from score_service.ledger import Ledger


@pytest.fixture
async def proxy(database: postgres.Database, start_proxy: Callable[[str], Awaitable[Proxy]]) -> Proxy:
    """Stand between the service and its PostgreSQL."""
    dsn = conninfo_to_dict(database.score_runtime_dsn)
    return await start_proxy(f"{dsn['host']}:{dsn['port']}")


@pytest.fixture
async def proxied(database: postgres.Database, proxy: Proxy) -> AsyncIterator[Ledger]:
    dsn = make_conninfo(database.score_runtime_dsn, port=proxy.port, sslmode="disable", gssencmode="disable")
    settings = DatabaseSettings(dsn, wait_seconds=0.5, statement_seconds=0.5)
    async with Database.open(settings) as record:
        yield Ledger(record)


def end_connections(database: postgres.Database) -> None:
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'score_runtime' AND datname = current_database()"
        )


async def test_database_that_is_away_is_told_as_such(free_port: Callable[[], int]) -> None:
    settings = DatabaseSettings(f"postgresql://nobody@127.0.0.1:{free_port()}/none", wait_seconds=0.2)

    async with Database.open(settings) as record:
        with pytest.raises(RecordUnavailableError):
            await Ledger(record).read_head("main")


async def test_lost_connections_are_replaced_without_a_failed_call(
    ledger: Ledger, database: postgres.Database
) -> None:
    awards = [make_award(board_id=f"board_{n}") for n in range(8)]
    await asyncio.gather(*(ledger.record_awards(award.board_id, [award]) for award in awards))
    end_connections(database)

    again = await asyncio.gather(*(ledger.record_awards(award.board_id, [award]) for award in awards))

    assert [batch.changes.changes for batch in again] == [()] * 8


async def test_no_statement_waits_for_ever_on_a_network_that_swallows_everything(
    proxied: Ledger, proxy: Proxy
) -> None:
    award = make_award()
    await proxied.record_awards("main", [award])
    proxy.hold()

    async with asyncio.timeout(20):  # Without a bound of our own this takes minutes.
        with pytest.raises(RecordUnavailableError):
            await proxied.record_awards("main", [award])

    proxy.reset()
    proxy.release()
    again = await proxied.record_awards("main", [award])
    assert again.changes.after.revision == 1


async def test_cancelled_statement_does_not_wait_for_a_network_that_swallows_everything(
    proxied: Ledger, proxy: Proxy
) -> None:
    await proxied.record_awards("main", [make_award()])
    proxy.hold()

    async with asyncio.timeout(20):
        with pytest.raises((TimeoutError, RecordUnavailableError)):
            async with asyncio.timeout(0.1):
                await proxied.read_head("main")


@pytest.mark.parametrize("passed", [0, 1, 7, 60])
async def test_award_whose_answer_was_cut_off_is_sent_again_and_made_once(
    proxied: Ledger, proxy: Proxy, passed: int
) -> None:
    await proxied.record_awards("main", [make_award()])
    proxy.cut_replies(after=passed)

    batch = await proxied.record_awards("main", [make_award(), make_award()])

    assert [result.revision for result in batch.results] == [2, 3]  # type: ignore[union-attr]
    assert (await proxied.read_head("main")).revision == 3


async def test_works_without_prepared_statements(database: postgres.Database) -> None:
    settings = DatabaseSettings(database.score_runtime_dsn, prepare_threshold=None)

    async with Database.open(settings) as record:
        for expected in range(1, 8):
            batch = await Ledger(record).record_awards("main", [make_award()])
            assert batch.changes.after.revision == expected


def test_settings_do_not_show_the_password() -> None:
    assert "secret" not in repr(DatabaseSettings("postgresql://u:secret@h/d", "secret"))


async def test_database_without_the_schema_is_an_outage(ledger: Ledger, database: postgres.Database) -> None:
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute("DROP SCHEMA score CASCADE")

    with pytest.raises(RecordUnavailableError):
        await ledger.record_awards("main", [make_award()])
    with pytest.raises(RecordUnavailableError):
        await ledger.read_head("main")


async def test_schema_older_than_the_code_is_an_outage(ledger: Ledger, database: postgres.Database) -> None:
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE score.board DROP COLUMN digest")

    with pytest.raises(RecordUnavailableError):
        await ledger.read_head("main")
