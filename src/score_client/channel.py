"""The connection in use, and its replacement when the certificate files change or it is old.

gRPC cannot renew the certificate of a channel. So a new connection is made beside the old one and takes
over once a server has accepted it, while calls on the old one finish within a grace. Files that cannot be
used, or that no server accepts, never take over. A connection has an age at which it is replaced, too: what
the service's certificate and authority were checked for when it was made holds that long at most.
"""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from score_client.connection import Connection
from score_client.credentials import CertificateStatus, ClientCredentials
from score_client.errors import ClientClosedError, ScoreClientError, UnavailableError

# How long a new connection may take before it is given up until the next look at the files.
CONNECT_TIMEOUT = 5.0
# How long calls on a replaced connection may take. Longer than the service's checkpoints are apart, so that a
# watch moves over between two messages.
RETIREMENT_GRACE = 30.0

_logger = logging.getLogger(__name__)


class RenewedChannel:
    """The current connection to one target, kept in step with the certificate files."""

    def __init__(
        self,
        target: str,
        credentials: ClientCredentials,
        *,
        server_name: str | None,
        check_interval: float,
        connection_age: float,
    ) -> None:
        self._target = target
        self._credentials = credentials
        self._server_name = server_name
        self._check_interval = check_interval
        self._connection_age = connection_age
        self._current: Connection | None = None
        self._connected_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._fault: str | None = None

    @property
    def current(self) -> Connection:
        """The connection to make the next call on.

        Raises:
            ClientClosedError: The channel is not open.
        """
        if self._current is None:
            raise ClientClosedError("CLIENT_CLOSED", "The client is used outside of its 'async with' block.")
        return self._current

    def status(self) -> CertificateStatus:
        """Return the certificate files in use.

        Raises:
            ClientClosedError: The channel is not open.
        """
        return self.current.credentials.status(self._fault, datetime.now(UTC))

    async def open(self) -> None:
        """Make the first connection, in the background.

        Raises:
            CredentialsError: The certificate files cannot be used.
        """
        self._use(await self._connect())
        self._start(self._follow_files())

    async def close(self) -> None:
        """Close every connection. Calls under way end at once."""
        current, self._current = self._current, None
        for task in self._tasks:
            task.cancel()
        if current:
            await current.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connect(self) -> Connection:
        credentials = await asyncio.to_thread(self._credentials.load)
        return Connection(self._target, credentials, self._server_name)

    def _use(self, connection: Connection) -> None:
        self._current, self._connected_at = connection, asyncio.get_running_loop().time()

    async def _follow_files(self) -> None:
        while True:
            await asyncio.sleep(self._check_interval)
            try:
                await self._renew()
            except ScoreClientError as error:
                self._report(str(error))
            except Exception:
                # Whatever it is, the files must go on being looked at.
                _logger.exception("The old certificate stays in use.")
                self._fault = "The certificate files could not be looked at."
            else:
                self._fault = None

    async def _renew(self) -> None:
        fingerprint = await asyncio.to_thread(self._credentials.fingerprint)
        if fingerprint != self.current.credentials.fingerprint:
            await self._replace()
            _logger.info("The new certificate is in use.")
        elif asyncio.get_running_loop().time() - self._connected_at > self._connection_age:
            with suppress(UnavailableError):  # Where no server answers, no other connection is better.
                await self._replace()

    async def _replace(self) -> None:
        connection = await self._connect()
        try:
            await connection.ready(within=CONNECT_TIMEOUT)
        except BaseException:
            await connection.close()
            raise
        self._start(_retire(self.current))
        self._use(connection)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _report(self, fault: str) -> None:
        if fault != self._fault:
            _logger.warning("The old certificate stays in use. %s", fault)
        self._fault = fault


async def _retire(connection: Connection) -> None:
    try:
        await connection.close(RETIREMENT_GRACE)
    finally:
        await connection.close()
