"""pgbench on the server under test, in a schema of its own: what PostgreSQL gives without any of Laurel."""

import asyncio
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import psycopg

from bench.figures.row import Sample
from bench.stack.stack import DATABASE, Stack
from local_stack.servers.binding import bind_command
from local_stack.servers.ports import HOST
from local_stack.servers.postgres import find_binaries

CONNECTIONS: Final = 8
_SCRIPT = Path(__file__).with_name("pgbench.sql")
_TABLES = """
    CREATE SCHEMA pgbench;
    CREATE TABLE pgbench.award (
        award_id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id bigint NOT NULL, points bigint NOT NULL
    );
    CREATE TABLE pgbench.total (user_id bigint PRIMARY KEY, total bigint NOT NULL) WITH (fillfactor = 70);
"""
_COUNT = re.compile(r"number of transactions actually processed: (\d+)")
_RATE = re.compile(r"tps = ([0-9.]+) \(without initial connection time\)")


@dataclass(frozen=True, slots=True)
class Pgbench:
    """Runs pgbench."""

    command: Sequence[str]
    environment: dict[str, str]

    @classmethod
    async def prepare(cls, stack: Stack) -> Self:
        """Make the tables."""
        admin_url = stack.postgres.admin_url(DATABASE)
        async with await psycopg.AsyncConnection.connect(admin_url, autocommit=True) as connection:
            await connection.execute(_TABLES)
        words = [find_binaries() / "pgbench", "--no-vacuum", "--protocol=prepared", f"--file={_SCRIPT}"]
        words += [f"--client={CONNECTIONS}", "--jobs=2", f"--host={HOST}", f"--port={stack.postgres.port}"]
        environment = {**os.environ, "PGPASSWORD": stack.postgres.password}
        return cls([*map(str, words), "--username=postgres"], environment)

    async def run(self, seconds: float) -> Sample:
        """Run it for whole seconds."""
        command = bind_command([*self.command, f"--time={max(1, round(seconds))}", DATABASE])
        process = await asyncio.create_subprocess_exec(
            *command,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        output = (await process.communicate())[0].decode()
        if process.returncode:
            raise RuntimeError(f"pgbench failed:\n{output}")
        return parse(output)


def parse(output: str) -> Sample:
    """Read what pgbench says at its end. Raises RuntimeError if it does not say it."""
    count, rate = _COUNT.search(output), _RATE.search(output)
    if count is None or rate is None:
        raise RuntimeError(f"pgbench said something else:\n{output}")
    return Sample(int(count[1]), int(count[1]) / float(rate[1]))
