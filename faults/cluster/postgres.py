"""PostgreSQL as members: a primary and its synchronous standby, how they stop, and copies of their data."""

import os
import shutil
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.conninfo import make_conninfo

from faults.cluster.member import Member, until
from faults.deadlines import within
from faults.network.proxy import Proxy
from local_stack.errors import ServerFailedError
from local_stack.servers.account import Account
from local_stack.servers.binding import bind_command
from local_stack.servers.child import Child
from local_stack.servers.ports import HOST
from local_stack.servers.postgres import PostgresCluster, PostgresServer, find_binaries

FAST: Final = signal.SIGINT
"""Ends the sessions, writes everything down, and waits until the standby has it."""
IMMEDIATE: Final = signal.SIGQUIT
"""Ends at once without writing anything down, as after a power cut."""
_PASSWORD = "superuser-password"  # noqa: S105 - the name of a file
_COPY_SECONDS: Final = 60.0
_START_SECONDS: Final = 30.0
_CONNECT_SECONDS: Final = 5
_PROMOTE_SECONDS: Final = 60
_STATEMENT_SECONDS: Final = 90.0
_IS_READY: Final = (
    "SELECT NOT pg_is_in_recovery() OR EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')"
)


class Postgres(Member):
    """A server at one port, on data that can be exchanged while it is stopped."""

    def __init__(self, name: str, cluster: PostgresCluster, port: int) -> None:
        super().__init__(name)
        self.cluster = cluster
        self.port = port
        self._server: PostgresServer | None = None

    @property
    def server(self) -> PostgresServer:
        """What was started last."""
        if self._server is None:
            raise ServerFailedError(f"{self.name} was not started")
        return self._server

    @property
    def address(self) -> str:
        """Where it listens, as `host:port`."""
        return f"{HOST}:{self.port}"

    def start(self) -> None:
        """Start a server on the data."""
        self._server = self.cluster.spawn(self.port)
        self.child = self._server.child

    def looks_ready(self) -> bool:
        """Connect to it; a standby must follow its primary, too."""
        url = make_conninfo(self.server.admin_url(), connect_timeout=_CONNECT_SECONDS)
        try:
            with psycopg.connect(url) as connection:
                return connection.execute(_IS_READY).fetchone() == (True,)
        except psycopg.OperationalError:
            return False

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

    async def execute(self, statement: Any) -> tuple[Any, ...] | None:
        """Have it do something, as the superuser, and return the first row of the answer.

        Raises:
            StuckError: It says nothing.
        """
        url = make_conninfo(self.server.admin_url(), connect_timeout=_CONNECT_SECONDS)
        async with (
            within(_STATEMENT_SECONDS, f"{self.name} to execute {statement}"),
            await psycopg.AsyncConnection.connect(url, autocommit=True) as connection,
        ):
            cursor = await connection.execute(statement)
            return await cursor.fetchone() if cursor.description else None

    async def promote(self) -> None:
        """Have a standby become a primary. Raises ServerFailedError if it does not."""
        if await self.execute(f"SELECT pg_promote(wait_seconds => {_PROMOTE_SECONDS})") != (True,):
            raise ServerFailedError(
                f"{self.name} was not promoted after {_PROMOTE_SECONDS} s:\n{self.server.child.tail()}"
            )

    async def back_up(self, copy: Path, *options: str, port: int | None = None) -> None:
        """Copy the data of the running server, with the password, into a folder that has no data yet.

        Args:
            copy: the folder.
            options: more of `pg_basebackup`.
            port: where it is reached, if not at its own.
        """
        account = Account.owning(copy)
        command: list[str | Path] = [
            *(find_binaries() / "pg_basebackup", "-D", copy / self.cluster.data.name, "--checkpoint=fast"),
            *("--no-sync", "--wal-method=stream", "-h", HOST, "-p", str(port or self.port), "-U", "postgres"),
            *options,
        ]
        words = bind_command(command, account=account, paths=[find_binaries(), copy])
        environment = {**os.environ, "PGPASSWORD": self.server.password}
        log = self.cluster.log_path.with_name("pg_basebackup.log")
        await self._finish(Child.start("pg_basebackup", words, log, environment=environment))
        self._copy_password(copy, account)

    def put_aside(self, former: Path) -> None:
        """Move the data of a stopped server into a folder that does not exist yet.

        A server can be started on them, as `PostgresCluster(former, …)`, with the same password.
        """
        self._copy_password(former, Account.owning(former))
        self.cluster.data.rename(former / self.cluster.data.name)

    def put_back(self, copy: Path) -> None:
        """Move the data of a copy to a stopped server without data."""
        (copy / self.cluster.data.name).rename(self.cluster.data)

    def remove_data(self) -> None:
        """Have a stopped server forget everything."""
        shutil.rmtree(self.cluster.data)

    def _copy_password(self, to: Path, account: Account | None) -> None:
        password = to / _PASSWORD
        shutil.copy(self.cluster.folder / _PASSWORD, password)
        if account is not None:
            account.own(password)

    async def _finish(self, work: Child) -> None:
        if not await until(lambda: work.exit_code is not None, _COPY_SECONDS):
            work.stop(1)
            raise ServerFailedError(f"{work.name} had not ended after {_COPY_SECONDS:.0f} s:\n{work.tail()}")
        if work.exit_code != 0:
            raise ServerFailedError(f"{work.name} failed:\n{work.tail()}")


class PostgresPair:
    """The server of the record, and its standby, for which every commit waits.

    Attributes:
        primary: What the services reach.
        standby: Follows the primary through the link. After a failover the two have changed places.
        link: From the standby to the primary.
    """

    def __init__(self, primary: Postgres, standby: Postgres, link: Proxy) -> None:
        self.primary = primary
        self.standby = standby
        self.link = link

    @property
    def members(self) -> tuple[Postgres, Postgres]:
        """Both, whichever is the primary."""
        return self.primary, self.standby

    async def begin(self) -> None:
        """Make the standby of a primary that has never had one, and have commits wait for it from now on.

        From then on nothing may hold up the loop that wants something committed: the link is in it.
        """
        for setting in ("synchronous_standby_names = '*'", "wal_retrieve_retry_interval = '200ms'"):
            await self.primary.execute(f"ALTER SYSTEM SET {setting}")
        await self.follow()
        await self.standby.until_ready()
        await self.primary.execute("SELECT pg_reload_conf()")

    async def follow(self) -> None:
        """Make the standby, which is stopped and has no data, from the primary, and start it."""
        self.link.upstream = self.primary.address
        self.link.reset()
        self.link.release()
        options = "--write-recovery-conf", "--no-slot"
        await self.primary.back_up(self.standby.cluster.folder, *options, port=self.link.port)
        self.standby.start()

    async def take_over(self, users: Iterable[Proxy]) -> None:
        """Make the standby the primary, whether or not the other one still runs, and bring users to it.

        Raises:
            ServerFailedError: It was not promoted.
        """
        await self.standby.promote()
        self.primary, self.standby = self.standby, self.primary
        self.bring(users)

    def bring(self, users: Iterable[Proxy]) -> None:
        """Have users reach the primary, and nothing else any more."""
        for proxy in users:
            proxy.upstream = self.primary.address
            proxy.reset()
