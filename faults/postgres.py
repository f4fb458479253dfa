"""PostgreSQL as a member: its ways to stop, and copies of its data to go back to."""

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Final

from faults.member import Member, until
from local_stack.account import Account
from local_stack.binding import bind_command
from local_stack.child import Child
from local_stack.errors import ServerFailedError
from local_stack.ports import HOST
from local_stack.postgres import PostgresCluster, PostgresServer, find_binaries

FAST: Final = signal.SIGINT
"""Ends the sessions and writes everything down."""
IMMEDIATE: Final = signal.SIGQUIT
"""Ends at once without writing anything down, as after a power cut."""
_PASSWORD = "superuser-password"  # noqa: S105 - the name of a file
_COPY_SECONDS: Final = 60.0
_START_SECONDS: Final = 30.0


class Postgres(Member):
    """The server of the record."""

    def __init__(self, name: str, cluster: PostgresCluster, server: PostgresServer) -> None:
        """Take a server that runs."""
        super().__init__(name)
        self.cluster = cluster
        self.server = server
        self.child = server.child

    def start(self) -> None:
        """Start a server on the data, at the same port."""
        self.server = self.cluster.spawn(self.server.port)
        self.child = self.server.child

    def looks_ready(self) -> bool:
        """Connect to it."""
        return self.server.accepts()

    async def restart(self) -> None:
        """Start it until it stays, and wait until it accepts connections.

        Processes of a server that was killed may hold its data for a moment.
        """
        deadline = time.monotonic() + _START_SECONDS
        while True:
            self.start()
            try:
                return await self.until_ready()
            except ServerFailedError:
                if time.monotonic() > deadline:
                    raise

    async def back_up(self, copy: Path) -> None:
        """Copy the data of the running server into a folder that does not exist yet."""
        account = Account.owning(copy)
        command: list[str | Path] = [
            *(find_binaries() / "pg_basebackup", "-D", copy / self.cluster.data.name, "--checkpoint=fast"),
            *("--no-sync", "--wal-method=stream", "-h", HOST, "-p", str(self.server.port), "-U", "postgres"),
        ]
        words = bind_command(command, account=account, paths=[find_binaries(), copy])
        environment = {**os.environ, "PGPASSWORD": self.server.password}
        log = self.cluster.log_path.with_name("pg_basebackup.log")
        work = Child.start("pg_basebackup", words, log, environment=environment)
        await self._finish(work)

    def put_back(self, copy: Path, former: Path) -> None:
        """Give a stopped server the data of a copy; move those that it had to a folder of their own.

        A server can be started on the former data, as `PostgresCluster(former, …)`, with the same password.
        """
        account = Account.owning(former)
        password = former / _PASSWORD
        shutil.copy(self.cluster.folder / _PASSWORD, password)
        if account is not None:
            account.own(password)
        self.cluster.data.rename(former / self.cluster.data.name)
        (copy / self.cluster.data.name).rename(self.cluster.data)

    async def _finish(self, work: Child) -> None:
        await until(lambda: work.exit_code is not None, _COPY_SECONDS)
        if work.exit_code != 0:
            work.stop(1)
            raise ServerFailedError(f"{work.name} failed:\n{work.tail()}")
