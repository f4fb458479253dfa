"""One case being tried: its servers, its client, and what is judged."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from conformance.adapter.client import Client, Failure
from conformance.adapter.process import AdapterProcess
from conformance.certificates import RenewableFiles
from conformance.server.desk import Desk
from conformance.server.scripted import ScriptedServer
from local_stack.certificates import TRUST_DOMAIN, CertificateAuthority, CertificateFiles

IDENTITY: Final = f"spiffe://{TRUST_DOMAIN}/client-under-test"
RENEWED_IDENTITY: Final = f"spiffe://{TRUST_DOMAIN}/client-under-test-renewed"
_WAIT_SECONDS: Final = 10.0

_T = TypeVar("_T")


class Violation(Exception):  # noqa: N818 - a verdict
    """The client does not keep a rule."""

    def __init__(self, expected: str, seen: str) -> None:
        super().__init__(f"expected {expected}; saw {seen}")
        self.expected = expected
        self.seen = seen


def require(holds: object, expected: str, seen: object) -> None:
    """Judge.

    Raises:
        Violation: It does not hold.
    """
    if not holds:
        raise Violation(expected, str(seen))


def result_of(answer: _T | Failure) -> _T:
    """Return what is no failure.

    Raises:
        Violation: It is one.
    """
    if isinstance(answer, Failure):
        raise Violation("a result", f"the failure {answer}")
    return answer


def failure_of(answer: Any) -> Failure:
    """Return what is a failure.

    Raises:
        Violation: It is none.
    """
    if not isinstance(answer, Failure):
        raise Violation("a failure", f"the result {answer!r:.200}".replace("\n", " "))
    return answer


class Trial:
    """What a case may use, within an `async with` block: everything it starts ends with the block."""

    def __init__(self, process: AdapterProcess) -> None:
        self._process = process
        self._stack = AsyncExitStack()
        self.desk = Desk()
        """Takes the awards of all servers."""

    async def __aenter__(self) -> Self:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="laurel-conformance-")))
        self.authority = CertificateAuthority.open(folder / "authority")
        self.foreign_authority = CertificateAuthority.open(folder / "foreign")
        (folder / "client").mkdir()
        self.files = RenewableFiles(folder / "client", self.authority.issue("client", uris=[IDENTITY]))
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._stack.aclose()

    async def start_server(
        self, *options: tuple[str, int], certificate: CertificateFiles | None = None
    ) -> ScriptedServer:
        """Start a server that takes awards, by default with a certificate of localhost."""
        server = ScriptedServer(certificate or self.authority.issue("server", dns=["localhost"]))
        self.desk.open(server)
        self._stack.push_async_exit(server)
        await server.start(*options)
        return server

    async def open(self, *servers: ScriptedServer, **options: Any) -> Client:
        """Have the adapter open a client of these servers."""
        addresses = [f"127.0.0.1:{server.port}" for server in servers]
        target = servers[0].target if len(servers) == 1 else f"ipv4:{','.join(addresses)}"
        client = Client(self._process)
        await client.open(addresses, self.files.files, target=target, **options)
        return client

    async def open_one(self, **options: Any) -> tuple[ScriptedServer, Client]:
        """Start a server, and have the adapter open a client of it."""
        server = await self.start_server()
        return server, await self.open(server, **options)

    def trust_both(self) -> Path:
        """Write a file with both authorities."""
        both = self.authority.folder / "both.pem"
        both.write_bytes(self.authority.ca_file.read_bytes() + self.foreign_authority.ca_file.read_bytes())
        return both

    def start(self, work: Awaitable[_T]) -> "asyncio.Task[_T]":
        """Have something done beside the case, which ends with it."""
        task = asyncio.ensure_future(work)
        self._stack.push_async_callback(_cancel, task)
        return task


async def wait_until(server: ScriptedServer, holds: Callable[[], bool], expected: str, seen: str) -> None:
    """Wait until something holds of the calls of a server.

    Raises:
        Violation: It does not within 10 s.
    """
    try:
        async with asyncio.timeout(_WAIT_SECONDS):
            await server.wait_until(holds)
    except TimeoutError:
        raise Violation(expected, f"{seen} within {_WAIT_SECONDS:g} s") from None


async def _cancel(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    await asyncio.wait([task])
