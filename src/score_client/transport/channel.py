"""The connection in use, and its replacement when the certificate files change or it is old.

gRPC cannot renew the certificate of a channel. So a new connection is made beside the old one and takes
over once a server has accepted it, while calls on the old one finish within a grace. Files that cannot be
used, or that no server accepts, never take over.

TLS checks the service's certificate when a connection is made, and not again. So a connection is closed when
the certificate of a server has expired. It also has an age at which it is replaced though nothing has
changed, by one that no server has accepted yet if need be: the authority is checked again then.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from score_client.errors import ClientClosedError, ScoreClientError, UnavailableError
from score_client.transport.connection import Connection
from score_client.transport.credentials import CertificateStatus, ClientCredentials, LoadedCredentials
from score_client.transport.servers import have_expired

# How long a new connection may take before it is given up until the next look at the files.
CONNECT_TIMEOUT = 5.0
# How long calls on a replaced connection may take. Longer than the service's checkpoints are apart, so that a
# watch moves over between two messages.
RETIREMENT_GRACE = 30.0

_logger = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


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
        activation_delay: float,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._target = target
        self._credentials = credentials
        self._server_name = server_name
        self._check_interval = check_interval
        self._connection_age = connection_age
        self._activation_delay = timedelta(seconds=activation_delay)
        self._now = now
        self._latest: LoadedCredentials | None = None
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
        return self.current.credentials.status(self._fault, self._now())

    async def open(self) -> None:
        """Make the first connection, in the background.

        Raises:
            CredentialsError: The certificate files cannot be used.
        """
        self._latest = await asyncio.to_thread(self._credentials.load)
        self._use(self._connect(self._latest))
        self._start(self._follow_files())

    async def close(self) -> None:
        """Close every connection. Calls under way end at once."""
        current, self._current = self._current, None
        for task in self._tasks:
            task.cancel()
        if current:
            await current.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _connect(self, credentials: LoadedCredentials) -> Connection:
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
        used, now = self.current.credentials, self._now()
        due = used.followed_by(await self._load_latest(), self._activation_delay, now)
        age = asyncio.get_running_loop().time() - self._connected_at
        if due is not used:
            await self._replace(due)
            _logger.info("The new certificate is in use.")
        elif await asyncio.to_thread(have_expired, self._target, now):
            _logger.warning("The certificate of a server has expired on an open connection, which is closed.")
            self._take_over(self._connect(due), None)
        elif age > self._connection_age + RETIREMENT_GRACE:
            self._take_over(self._connect(due), RETIREMENT_GRACE)
        elif age > self._connection_age:
            with suppress(UnavailableError):  # Where no server answers, no other connection is better yet.
                await self._replace(due)

    async def _load_latest(self) -> LoadedCredentials:
        fingerprint = await asyncio.to_thread(self._credentials.fingerprint)
        if self._latest is None or fingerprint != self._latest.fingerprint:
            self._latest = await asyncio.to_thread(self._credentials.load)
        return self._latest

    async def _replace(self, credentials: LoadedCredentials) -> None:
        connection = self._connect(credentials)
        try:
            await connection.ready(within=CONNECT_TIMEOUT)
        except BaseException:
            await connection.close()
            raise
        self._take_over(connection, RETIREMENT_GRACE)

    def _take_over(self, connection: Connection, grace: float | None) -> None:
        self._start(_retire(self.current, grace))
        self._use(connection)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _report(self, fault: str) -> None:
        if fault != self._fault:
            _logger.warning("The old certificate stays in use. %s", fault)
        self._fault = fault


async def _retire(connection: Connection, grace: float | None) -> None:
    try:
        await connection.close(grace)
    finally:
        await connection.close()
