"""PostgreSQL as the score service uses it: statements by name, sent again where their outcome is unknown.

Invariants:
- Every statement of `sql` may run twice. One whose connection was lost does, and one that was answered
  although the server did not wait for its standbys to the end.
- Every wait is bounded, see `service_runtime.postgres.pool`.
- A statement of bulk work may run longer than those that callers wait for, and than the server lets others:
  its transaction says so, because behind a pooler nothing may be said to the session.

It knows the names of statements and nothing of what they say.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import psycopg
from psycopg.rows import DictRow

from score_service import tracing
from score_service.errors import RecordUnavailableError
from score_service.record.sql import load_statement
from service_runtime.postgres.pool import UNAVAILABLE, Connection, Pool

BULK_SECONDS: Final = 30.0
"""For a statement of bulk work, at most. It reads a page, which takes milliseconds where nothing is wrong."""
_RETRY_SECONDS: Final = 0.05
_WAIT_FOR_STANDBYS: Final = "SyncRepWaitForLSN"
"""The function of PostgreSQL that warns of a wait that was cut short: neither the code nor the words of that
warning are its own, the words because they are translated."""
_WAIT_OF_A_NODE: Final = "wait for synchronous replication"
"""Part of the words of that warning. Where a node of Citus gave it, they are all that remains of it,
in the language of that node: see `Ledger.find_silent_nodes`."""


class _UnconfirmedError(psycopg.Error):
    """A statement was answered, but what it committed may be on this server alone."""


_HELD_UP: Final = (_UnconfirmedError, psycopg.errors.LockNotAvailable)
"""What the same statement on the same connection may overcome."""


class Database(Pool):
    """Runs the statements of `sql` by name."""

    application_name = "score-service"

    async def fetch_all(
        self,
        statement: str,
        parameters: Mapping[str, object],
        seconds: float | None = None,
        *,
        prepare: bool | None = None,
    ) -> list[DictRow]:
        """Run a statement as one transaction and return its rows.

        Args:
            statement: its name, see `sql`.
            parameters: by name.
            seconds: how long it may run, at most; None for what the settings say.
            prepare: False has it planned each time, for one whose best plan depends on the board.

        Raises:
            RecordUnavailableError: PostgreSQL is unavailable, or did not answer in time. Whether a statement
                that writes has done so is unknown.
        """
        clock = asyncio.get_running_loop().time
        seconds = seconds or self.statement_seconds
        give_up_at = clock() + seconds
        while True:
            began = clock()
            try:
                with tracing.statement(statement):
                    async with self.connection(seconds) as connection:
                        with _confirmation(connection):
                            async with self._limit(connection, seconds):
                                cursor = await connection.execute(
                                    load_statement(statement), parameters, prepare=prepare
                                )
                                return await cursor.fetchall()
            except (*UNAVAILABLE, _UnconfirmedError) as error:
                is_lost = await self.note_unavailable(statement, error, began)
                may_be_repeated = is_lost or isinstance(error, _HELD_UP)
                if not may_be_repeated or clock() >= give_up_at:
                    raise RecordUnavailableError from error
            await asyncio.sleep(_RETRY_SECONDS)

    async def fetch_reachable(
        self, statement: str, reachable: str, parameters: Mapping[str, object]
    ) -> tuple[list[DictRow], bool]:
        """Run a statement over all boards, or another one where a node of the database is unavailable.

        Args:
            statement: its name. It needs all nodes.
            reachable: the name of the one that leaves the boards of unavailable nodes out.
            parameters: by name, of both.

        Returns:
            The rows, and whether they are those of all nodes.

        Raises:
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        try:
            return await self.fetch_all(statement, parameters), True
        except RecordUnavailableError as error:
            # Told by a server that answered, of another one that it could not reach.
            if not isinstance(error.__cause__, psycopg.errors.ConnectionFailure):
                raise
        return await self.fetch_all(reachable, parameters), False

    @asynccontextmanager
    async def _limit(self, connection: Connection, seconds: float) -> AsyncIterator[None]:
        """Have the server let a statement run so long, where that is longer than what the settings say."""
        if seconds <= self.statement_seconds:
            yield
            return
        async with connection.transaction():
            parameters = {"milliseconds": str(int(seconds * 1000))}
            await connection.execute(load_statement("limit_statement"), parameters)
            yield


@contextmanager
def _confirmation(connection: Connection) -> Iterator[None]:
    """Take no answer of a server that did not wait for its standbys to the end.

    One whose wait is cancelled, as by `pg_cancel_backend`, answers that all is done, and warns that the
    standbys may not have it. The same statement again waits for them again. Other warnings, such as that
    transaction ids run out soon, come with each commit and change nothing about it.
    """
    warnings: list[str] = []

    def note(said: psycopg.errors.Diagnostic) -> None:
        message = said.message_primary or ""
        if said.source_function == _WAIT_FOR_STANDBYS or _WAIT_OF_A_NODE in message:
            warnings.append(message)

    connection.add_notice_handler(note)
    try:
        yield
    finally:
        connection.remove_notice_handler(note)
    if warnings:
        raise _UnconfirmedError(warnings[0])
