"""Migrations against a database that another version has migrated."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from alembic import command
from tests.fixtures.ledgers.archiving import Archiving
from tests.fixtures.ledgers.periods import (
    DAY,
    MONDAY,
    LedgerClock,
    make_period,
    make_schedule,
    save_settings,
    written,
)
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import NO_RETRIES, make_award

from local_stack.provision import create_database, derive_passwords, provision
from local_stack.servers.postgres import PostgresServer
from score_service.domain.board.period import PeriodKind
from score_service.domain.ledger.changes import Change, read_lines
from score_service.domain.ledger.reversal import ReversalRequest
from score_service.operations.verifier import Verifier
from score_service.record.boards import BoardStore
from score_service.record.corrections import Corrections
from score_service.record.database import Database as Record
from score_service.record.history import History
from score_service.record.ledger import MAX_REVISION, Ledger
from score_service.record.migrate import MIGRATION
from score_service.record.standings import Standings
from service_runtime.errors import SetupError
from service_runtime.postgres.pool import PoolSettings


def test_schema_newer_than_this_version_is_reported_and_left_alone(database: Database) -> None:
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute("UPDATE score.alembic_version SET version_num = '9999'")

    with pytest.raises(SetupError, match=r"cannot be upgraded.*9999"):
        MIGRATION.upgrade(database.score_owner_dsn, None)

    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        versions = connection.execute("SELECT version_num FROM score.alembic_version").fetchall()
    assert versions == [("9999",)]


@dataclass(frozen=True, slots=True)
class OldDatabase:
    """A database with roles and an empty schema."""

    admin_dsn: str
    owner_dsn: str
    runtime_dsn: str

    def migrate(self, monkeypatch: pytest.MonkeyPatch, revision: str) -> None:
        """Apply the revisions up to one of them."""

        def upgrade(config: Any, _head: str, whole: Any = command.upgrade) -> None:
            whole(config, revision)

        with monkeypatch.context() as patch:
            patch.setattr(command, "upgrade", upgrade)
            MIGRATION.upgrade(self.owner_dsn, None)


@pytest.fixture
def old_database(postgres_server: PostgresServer) -> Iterator[OldDatabase]:
    name, passwords = "laurel_old", derive_passwords(postgres_server.password)
    create_database(postgres_server.admin_url(), name)
    with psycopg.connect(postgres_server.admin_url(name)) as connection:
        provision(connection, passwords)
    yield OldDatabase(
        postgres_server.admin_url(name),
        *(postgres_server.url(name, role, passwords[role]) for role in ("score_owner", "score_runtime")),
    )
    with psycopg.connect(postgres_server.admin_url(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def test_board_of_the_schema_before_goes_on_and_counts_in_periods_from_its_settings_on(
    old_database: OldDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_database.migrate(monkeypatch, "0002")
    with psycopg.connect(old_database.runtime_dsn, autocommit=True) as connection:
        for users in ("{ada,bob}", "{ada,cyd}"):
            connection.execute(
                "SELECT score.record_awards('main', ARRAY[gen_random_uuid(), gen_random_uuid()], %s,"
                " '{2,3}'::integer[], '{puzzle,puzzle}', '{a,b}',"
                " ARRAY[gen_random_uuid(), gen_random_uuid()],"
                " '{spiffe://test.local/old,spiffe://test.local/old}', '{\"\",\"\"}')",
                [users],
            )

    old_database.migrate(monkeypatch, "head")

    async with Record.open(PoolSettings(old_database.runtime_dsn)) as record:
        ledger, standings = Ledger(record), Standings(record)
        verifier = Verifier(record, standings, NO_RETRIES)
        assert (await verifier.verify_board("main")).findings.kept == []
        plain = await ledger.record_awards("main", [make_award("ada", 5)])
        assert [change[:2] for change in plain.changes.changes] == [("ada", 9)]
        later = MONDAY + 20_000 * DAY  # Whatever the time is, it was before.
        LedgerClock(old_database.admin_dsn).set(later)
        await save_settings(BoardStore(record))
        today = make_period(PeriodKind.DAY, "2081-09-02", later, later + DAY)
        batch = written(
            await ledger.record_awards("main", [make_award("ada", 1)], make_schedule(today, revision=6))
        )
        assert [change[:2] for change in read_lines(batch.changes.periods[today.period_id])] == [("ada", 1)]
        assert [change[:2] for change in batch.changes.changes] == [("ada", 10)]
        verified = await verifier.verify_board("main")
    assert verified.findings.kept == []
    assert verified.position == batch.changes.after


async def test_awards_of_the_schema_before_are_found_by_user_and_taken_back(
    old_database: OldDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_database.migrate(monkeypatch, "0002")
    with psycopg.connect(old_database.runtime_dsn, autocommit=True) as connection:
        for _ in range(2):
            connection.execute(
                "SELECT score.record_awards('main', ARRAY[gen_random_uuid(), gen_random_uuid()], '{ada,bob}',"
                " '{2,3}'::integer[], '{puzzle,puzzle}', '{a,b}',"
                " ARRAY[gen_random_uuid(), gen_random_uuid()],"
                " '{spiffe://test.local/old,spiffe://test.local/old}', '{\"\",\"\"}')"
            )
    old_database.migrate(monkeypatch, "head")

    async with Record.open(PoolSettings(old_database.runtime_dsn)) as record:
        ledger, history, corrections = Ledger(record), History(record), Corrections(record)
        await ledger.record_awards("main", [make_award("ada", 5), make_award("ada", 6), make_award("cyd", 1)])
        listed, _ = await history.list_awards("main", "ada", MAX_REVISION, 3)
        last, _ = await history.list_awards("main", "ada", listed[-1].revision, 3)
        requests = [ReversalRequest(item.award_id, str(uuid.uuid4()), "leaked") for item in listed]
        batch = await corrections.reverse_awards("main", requests, actor="spiffe://test.local/x", trace_id="")
        newcomers = await ledger.list_newcomers("main", 0, 7)
        verified = await Verifier(record, Standings(record), NO_RETRIES).verify_board("main")

    assert [item.revision for item in (*listed, *last)] == [6, 5, 3, 1]
    assert batch.changes.changes == (Change("ada", 2, 1, 10),)
    assert newcomers == [(1, "ada"), (2, "bob"), (7, "cyd")]
    assert verified.findings.kept == []


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_awards_of_the_schema_before_are_archived(
    old_database: OldDatabase, monkeypatch: pytest.MonkeyPatch, *, is_deleted: bool
) -> None:
    """They name no award before them, so what is before the first one after the cut has to be looked for."""
    old_database.migrate(monkeypatch, "0002")
    with psycopg.connect(old_database.runtime_dsn, autocommit=True) as connection:
        for _ in range(3):
            connection.execute(
                "SELECT score.record_awards('main', ARRAY[gen_random_uuid(), gen_random_uuid()], '{ada,bob}',"
                " '{2,3}'::integer[], '{puzzle,puzzle}', '{a,b}',"
                " ARRAY[gen_random_uuid(), gen_random_uuid()],"
                " '{spiffe://test.local/old,spiffe://test.local/old}', '{\"\",\"\"}')"
            )
    old_database.migrate(monkeypatch, "head")

    async with (
        Record.open(PoolSettings(old_database.runtime_dsn)) as record,
        Record.open(PoolSettings(old_database.owner_dsn)) as owner,
    ):
        ledger, history, corrections = Ledger(record), History(record), Corrections(record)
        archiving = Archiving(owner, old_database.admin_dsn)
        await archiving.cut(4)
        if is_deleted:
            await archiving.delete()
        await ledger.record_awards("main", [make_award("ada", 5), make_award("cyd", 1)])
        listed, _ = await history.list_awards("main", "ada", MAX_REVISION, 9)
        requests = [ReversalRequest(item.award_id, str(uuid.uuid4()), "leaked") for item in listed]
        batch = await corrections.reverse_awards("main", requests, actor="spiffe://test.local/x", trace_id="")
        newcomers = await ledger.list_newcomers("main", 0, 99)

    assert [item.revision for item in listed] == [8, 5]
    assert batch.changes.changes == (Change("ada", 4, 3, 11),)
    assert newcomers == [(9, "cyd")]


@pytest.mark.parametrize("points", ["integer", "bigint"])
async def test_server_of_a_version_before_awards_as_this_one_does(database: Database, points: str) -> None:
    with psycopg.connect(database.score_runtime_dsn, autocommit=True) as connection:
        for _ in range(2):
            connection.execute(
                "SELECT score.record_awards('main', %s, '{ada,bob}', ARRAY[2,3]::"
                + points
                + "[], '{puzzle,puzzle}', '{a,b}', ARRAY[gen_random_uuid(), gen_random_uuid()],"
                " '{spiffe://test.local/old,spiffe://test.local/old}', '{\"\",\"\"}')",
                [[uuid.uuid4(), uuid.uuid4()]],
            )

    async with Record.open(PoolSettings(database.score_runtime_dsn)) as record:
        listed, _ = await History(record).list_awards("main", "ada", MAX_REVISION, 5)
        verified = await Verifier(record, Standings(record), NO_RETRIES).verify_board("main")
    with psycopg.connect(database.admin_dsn) as connection:
        previous = connection.execute(
            "SELECT previous_revision FROM score.award ORDER BY revision"
        ).fetchall()

    assert [(item.revision, item.total) for item in listed] == [(3, 4), (1, 2)]
    assert previous == [(0,), (0,), (1,), (2,)]
    assert verified.findings.kept == []


def test_no_function_that_takes_plans_away_is_compiled(database: Database) -> None:
    """A plan that is taken away costs so much that PostgreSQL would compile it, for seconds."""
    with psycopg.connect(database.admin_dsn) as connection:
        found = connection.execute(
            "SELECT proname, proconfig FROM pg_proc"
            " WHERE pronamespace = 'score'::regnamespace AND proconfig IS NOT NULL"
        ).fetchall()

    choosy = [settings for _, settings in found if any(s.startswith("enable_") for s in settings)]
    assert len(choosy) > 10
    assert [name for name, settings in found if settings in choosy and "jit=off" not in settings] == []
