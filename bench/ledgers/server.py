"""A PostgreSQL beside the one of the stack, with as much memory as it is given."""

import time
from dataclasses import dataclass, replace
from typing import Self

import psycopg
from psycopg import sql

from bench.stack.stack import Stack
from local_stack.provision import create_database
from local_stack.servers.backing import Record
from local_stack.servers.postgres import PostgresCluster, PostgresServer
from local_stack.services import Settings
from local_stack.state import StateFolder

NAME = "ledgers"
"""Under which its CPU is counted."""
_START_SECONDS = 600.0
_STOP_SECONDS = 600.0


@dataclass(slots=True)
class LedgerServer:
    """The server; it stays at its port when it is started again."""

    stack: Stack
    cluster: PostgresCluster
    server: PostgresServer

    @classmethod
    def start(cls, stack: Stack, shared_buffers: str) -> Self:
        """Start one with empty data, which is stopped with the stack unless `stop` was called before."""
        cluster = PostgresCluster(stack.state.path / NAME, stack.state.new_log(NAME))
        server = cls(stack, cluster, cluster.start())
        stack.children[NAME] = server.server.child
        with server.connect_as_admin() as connection:
            value = sql.Literal(shared_buffers)
            connection.execute(sql.SQL("ALTER SYSTEM SET shared_buffers = {}").format(value))
        server.restart()
        return server

    def make_record(self, name: str) -> Record:
        """Make a record on it."""
        create_database(self.server.admin_url(), name)
        record = Record.prepare(self.server.admin_url(name))
        self.stack.migrate(self._settings(record))
        return record

    async def run_command(self, record: Record, *words: str) -> str:
        """Run a command of the score service on a record, see `Stack.run_command`."""
        return await self.stack.run_command(self._settings(record), *words)

    def connect_as_admin(self) -> psycopg.Connection:
        """Connect as its superuser."""
        return psycopg.connect(self.server.admin_url(), autocommit=True)

    def restart(self) -> float:
        """Stop it in order and start it again; return the seconds that the start took."""
        self.server.child.stop(_STOP_SECONDS)
        began = time.monotonic()
        self.server = self.cluster.spawn(self.server.port)
        self.stack.children[NAME] = self.server.child
        self.server.child.wait_until(self.server.accepts, _START_SECONDS)
        return time.monotonic() - began

    def stop(self) -> None:
        """Stop it in order."""
        self.server.child.stop(_STOP_SECONDS)
        del self.stack.children[NAME]

    def _settings(self, record: Record) -> Settings:
        # Passwords of this server's roles must not take the place of those that the service reads.
        state = StateFolder(self.stack.state.path / f"{NAME}-state")
        return replace(self.stack.settings, state=state, record=record)
