"""Statements on a real PostgreSQL that becomes unavailable, is cut off, or swallows everything."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.servers import postgres
from tests.fixtures.servers.stores import eventually, make_award

from score_service.domain.ledger.entry import ALL_KINDS
from score_service.domain.ledger.position import Position
from score_service.errors import AwardNotFoundError, RecordUnavailableError
from score_service.record.database import Database
from score_service.record.feed import EntryStore
from score_service.record.ledger import Ledger
from score_service.record.standings import Standings
from service_runtime.postgres.pool import PoolSettings


@pytest.fixture
async def proxy(database: postgres.Database, start_proxy: Callable[[str], Awaitable[Proxy]]) -> Proxy:
    """Stand between the service and its PostgreSQL."""
    dsn = conninfo_to_dict(database.score_runtime_dsn)
    return await start_proxy(f"{dsn['host']}:{dsn['port']}")


@pytest.fixture
async def proxied(database: postgres.Database, proxy: Proxy) -> AsyncIterator[Ledger]:
    dsn = make_conninfo(database.score_runtime_dsn, port=proxy.port, sslmode="disable", gssencmode="disable")
    settings = PoolSettings(dsn, wait_seconds=0.5, statement_seconds=0.5)
    async with Database.open(settings) as record:
        yield Ledger(record)


def end_connections(database: postgres.Database) -> None:
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'score_runtime' AND datname = current_database()"
        )


async def test_database_that_is_unavailable_is_reported_as_such(free_port: Callable[[], int]) -> None:
    settings = PoolSettings(f"postgresql://nobody@127.0.0.1:{free_port()}/none", wait_seconds=0.2)

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


async def test_connections_that_were_idle_are_left_when_one_is_swallowed(
    proxied: Ledger, proxy: Proxy
) -> None:
    await asyncio.gather(*(proxied.record_awards(f"board_{n}", [make_award()]) for n in range(4)))
    proxy.hold()
    with pytest.raises(RecordUnavailableError):
        await proxied.read_head("board_0")
    before = proxy.connections
    proxy.release()

    assert (await proxied.read_head("board_0")).revision == 1
    assert proxy.connections > before


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
    settings = PoolSettings(database.score_runtime_dsn, prepare_threshold=None)

    async with Database.open(settings) as record:
        for expected in range(1, 8):
            batch = await Ledger(record).record_awards("main", [make_award()])
            assert batch.changes.after.revision == expected


@contextmanager
def administering(database: postgres.Database) -> Iterator[Callable[[str], list[Any]]]:
    """Give what runs a statement as the superuser and gives its rows."""
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:

        def run(statement: str) -> list[Any]:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

        yield run


@pytest.fixture
async def record_that_waits(database: postgres.Database) -> AsyncIterator[Database]:
    """Return a record whose commits wait for a standby that is not there, until the end of the test."""
    dsn = make_conninfo(database.score_runtime_dsn, options="-csynchronous_commit=on")
    with administering(database) as run:
        run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        run("SELECT pg_reload_conf()")
        try:
            async with Database.open(PoolSettings(dsn, statement_seconds=30)) as record:
                yield record
        finally:
            run("ALTER SYSTEM RESET synchronous_standby_names")
            run("SELECT pg_reload_conf()")


@pytest.fixture
def waiting_for_a_standby(record_that_waits: Database) -> Ledger:
    return Ledger(record_that_waits)


def waiting(run: Callable[[str], list[Any]]) -> list[int]:
    """Name the sessions that wait for a standby."""
    return [
        pid
        for (pid,) in run(
            "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = current_database()"
        )
    ]


async def until_waiting(run: Callable[[str], list[Any]], count: int = 1) -> None:
    async def is_waiting() -> bool:
        return len(await asyncio.to_thread(waiting, run)) == count

    await eventually(is_waiting)


async def test_award_is_not_answered_as_made_when_the_wait_for_its_standby_is_cancelled(
    waiting_for_a_standby: Ledger, ledger: Ledger, database: postgres.Database
) -> None:
    with administering(database) as run:
        recording = asyncio.create_task(waiting_for_a_standby.record_awards("main", [make_award()]))
        await until_waiting(run)
        (first,) = waiting(run)
        run(f"SELECT pg_cancel_backend({first})")

        async def is_committed_here() -> bool:
            return bool(run("SELECT 1 FROM score.award"))

        await eventually(is_committed_here)
        await until_waiting(run)
        assert not recording.done()
        run("ALTER SYSTEM RESET synchronous_standby_names")
        run("SELECT pg_reload_conf()")
        assert (await recording).changes.after.revision == 1


async def test_award_is_not_answered_as_made_when_another_node_says_that_its_wait_was_cancelled(
    ledger: Ledger, database: postgres.Database
) -> None:
    with administering(database) as run:
        # As Citus hands on what the node with the board warned of: the words alone, and a detail of its own.
        run(
            "CREATE FUNCTION score.warn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE WARNING 'canceling wait for synchronous replication due to user request'"
            " USING DETAIL = 'from node-1:5432'; RETURN NULL; END $$"
        )
        run("CREATE TRIGGER warn AFTER INSERT ON score.award EXECUTE FUNCTION score.warn()")

    batch = await ledger.record_awards("main", [make_award()])

    # It was found by asking again.
    assert (batch.changes.changes, len(batch.results)) == ((), 1)


async def test_warning_about_something_else_keeps_no_award_from_being_answered(
    ledger: Ledger, database: postgres.Database
) -> None:
    with administering(database) as run:
        # Like a server that is about to run out of transaction ids: it warns of that with each commit.
        run(
            "CREATE FUNCTION score.warn() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN RAISE WARNING 'database must be vacuumed soon'; RETURN NULL; END $$"
        )
        run("CREATE TRIGGER warn AFTER INSERT ON score.award EXECUTE FUNCTION score.warn()")

    batch = await ledger.record_awards("main", [make_award()])
    assert len(batch.changes.changes) == 1


async def test_award_is_looked_up_where_standbys_have_it_and_nowhere_else(
    waiting_for_a_standby: Ledger, ledger: Ledger, database: postgres.Database
) -> None:
    award = make_award()
    # Its commit does not wait, like one that is found after a crash.
    await ledger.record_awards("main", [award])
    with administering(database) as run:
        looking = [
            asyncio.create_task(waiting_for_a_standby.get_award("main", award_id))
            for award_id in (award.award_id, make_award().award_id)
        ]
        await until_waiting(run, count=2)
        assert not any(look.done() for look in looking)
        run("ALTER SYSTEM RESET synchronous_standby_names")
        run("SELECT pg_reload_conf()")
        assert (await looking[0]).award_id == award.award_id
        with pytest.raises(AwardNotFoundError):
            await looking[1]


async def test_page_of_a_feed_is_handed_over_once_standbys_have_it(
    record_that_waits: Database, ledger: Ledger, database: postgres.Database
) -> None:
    # Its commit does not wait, like one that is found after a crash.
    await ledger.record_awards("main", [make_award()])
    store = EntryStore(record_that_waits)
    with administering(database) as run:
        reading = asyncio.create_task(store.read_page("main", Position.start("main"), ALL_KINDS, 10))
        await until_waiting(run)
        assert not reading.done()
        run("ALTER SYSTEM RESET synchronous_standby_names")
        run("SELECT pg_reload_conf()")
        assert len((await reading).entries) == 1


async def test_server_that_only_reads_is_left_for_one_that_writes(
    database: postgres.Database, proxy: Proxy
) -> None:
    dsn = make_conninfo(
        database.score_runtime_dsn, port=proxy.port, target_session_attrs="any", gssencmode="disable"
    )
    with administering(database) as run:
        read_only = "ALTER ROLE score_runtime IN DATABASE {} {} default_transaction_read_only{}"
        name = database.name
        run(read_only.format(name, "SET", " = on"))
        async with Database.open(PoolSettings(dsn)) as record:
            ledger = Ledger(record)
            assert await ledger.list_heads("", 1) == []
            run(read_only.format(name, "RESET", ""))
            batch = await ledger.record_awards("main", [make_award()])
    assert batch.changes.after.revision == 1


def test_settings_do_not_show_the_password() -> None:
    assert "secret" not in repr(PoolSettings("postgresql://u:secret@h/d", "secret"))


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


async def test_page_of_bulk_work_may_take_longer_than_the_server_lets_other_statements(
    database: postgres.Database,
) -> None:
    dsn = make_conninfo(database.score_runtime_dsn, options="-c statement_timeout=100ms -c lock_timeout=0")
    with (
        psycopg.connect(database.admin_dsn) as locker,
        psycopg.connect(database.admin_dsn, autocommit=True) as watcher,
    ):

        async def is_late() -> bool:
            rows = watcher.execute(
                "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database() AND clock_timestamp() - query_start > '200 ms'"
            )
            return rows.rowcount == 1

        async with Database.open(PoolSettings(dsn, connections_max=1)) as record:
            standings = Standings(record)
            await Ledger(record).record_awards("main", [make_award("ada")])
            locker.execute("LOCK TABLE score.standing")
            reading = asyncio.create_task(standings.read_page("main", "", 10))
            await eventually(is_late)
            locker.rollback()
            assert await reading

            locker.execute("LOCK TABLE score.standing")
            with pytest.raises(RecordUnavailableError):  # On the same connection.
                await standings.get_standings("main", ["ada"])
