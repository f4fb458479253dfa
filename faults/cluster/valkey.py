"""Two Valkeys as members: one that the services use, and one that follows it."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import redis.asyncio

from faults.cluster.member import Member
from faults.network.proxy import Proxy
from local_stack.servers.account import Account
from local_stack.servers.ports import HOST
from local_stack.servers.valkey import ValkeyFolder, ValkeyServer

_FILES: Final = "appendonlydir"
_TIMEOUT: Final = 5.0


class Valkey(Member):
    """A server with an append-only file, at one port."""

    def __init__(self, name: str, folder: ValkeyFolder, port: int, password: str) -> None:
        super().__init__(name)
        self.folder = folder
        self.server: ValkeyServer | None = None
        self.port = port
        self._password = password

    @property
    def address(self) -> str:
        """Where it listens, as `host:port`."""
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """How to reach it past every proxy, with the password."""
        return f"redis://:{self._password}@{self.address}/0"

    def start(self) -> None:
        """Start a server on what the file has."""
        self.server = self.folder.spawn(self.port, self._password)
        self.child = self.server.child

    def looks_ready(self) -> bool:
        """Ping it."""
        return self.server is not None and self.server.answers()

    async def command(self, *words: str | int) -> None:
        """Have it do something."""
        async with redis.asyncio.Redis.from_url(self.url, socket_timeout=_TIMEOUT) as client:
            await client.execute_command(*words)  # type: ignore[no-untyped-call]

    def copy_file(self, to: Path) -> None:
        """Keep what its file has now; the last command may be cut off."""
        shutil.copytree(self.folder.folder / _FILES, to)

    def put_back(self, copy: Path | None) -> None:
        """Replace the file of a stopped server by that of a copy, or remove it."""
        files = self.folder.folder / _FILES
        shutil.rmtree(files, ignore_errors=True)
        if copy is None:
            return
        shutil.copytree(copy, files)
        account = Account.owning(self.folder.folder)
        if account is not None:
            for path in (files, *files.iterdir()):
                account.own(path)


class ValkeyPair:
    """The one that is used, and its replica. A failover makes them change places.

    Attributes:
        primary: What the services reach.
        replica: Follows the primary through the link, in its own time.
        link: From the replica to the primary.
    """

    def __init__(self, primary: Valkey, replica: Valkey, link: Proxy) -> None:
        self.primary = primary
        self.replica = replica
        self.link = link

    @property
    def members(self) -> tuple[Valkey, Valkey]:
        """Both, whichever is the primary."""
        return self.primary, self.replica

    async def follow(self) -> None:
        """Have the replica follow the primary."""
        self.link.upstream = self.primary.address
        self.link.reset()
        await self.primary.command("REPLICAOF", "NO", "ONE")
        # By default a server waits 5 s for more replicas before it sends itself to the first.
        await self.primary.command("CONFIG", "SET", "repl-diskless-sync-delay", 0)
        await self.replica.command("REPLICAOF", HOST, self.link.port)

    async def fail_over(self, users: Iterable[Proxy]) -> None:
        """Have the replica take over as it is, and the other one forget what the replica never got."""
        await self.replica.command("REPLICAOF", "NO", "ONE")
        self.primary, self.replica = self.replica, self.primary
        for proxy in users:
            proxy.upstream = self.primary.address
            proxy.reset()
        await self.follow()
