"""A dump of the record, restored as an operator does: rights, history and positions are as they were."""

import os
import subprocess
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import make_award

from local_stack.servers.postgres import PostgresServer, find_binaries
from score_service.record.database import Database as Record
from score_service.record.ledger import Ledger
from service_runtime.postgres.pool import PoolSettings


def run(server: PostgresServer, program: str, *arguments: str) -> None:
    """Run a program of PostgreSQL as the administrator."""
    address = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "postgres"}
    subprocess.run(
        [find_binaries() / program, *arguments],
        env={**os.environ, **address, "PGPASSWORD": server.password},
        check=True,
    )


async def test_dump_is_restored_with_rights_and_positions(
    postgres_server: PostgresServer, database: Database, ledger: Ledger, tmp_path: Path
) -> None:
    award = make_award()
    first = await ledger.record_awards("main", [award])
    dump, restored = str(tmp_path / "laurel.dump"), f"{database.name}_restored"

    run(postgres_server, "pg_dump", "--format=custom", f"--file={dump}", database.name)
    run(postgres_server, "createdb", "--template=template0", restored)
    run(postgres_server, "pg_restore", "--exit-on-error", f"--dbname={restored}", dump)

    runtime = make_conninfo(database.score_runtime_dsn, dbname=restored)
    async with Record.open(PoolSettings(runtime)) as record:
        again = await Ledger(record).record_awards("main", [award])
        assert again.results == first.results
        assert await Ledger(record).read_schema() == await ledger.read_schema()
        assert (await Ledger(record).record_awards("main", [make_award()])).changes.after.revision == 2
    with psycopg.connect(runtime) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("DELETE FROM score.award")
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(restored))
        connection.execute(drop)
