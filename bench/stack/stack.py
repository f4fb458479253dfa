"""The stack under test: PostgreSQL with fsync, Valkey, the score service, and what a theme adds to them.

Everything lies in one temporary folder, listens on free ports of the loopback interface, and ends with the
bench, however that ends.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import grpc
import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row

from bench.stack.accounting import Usage, read_memory, read_usage
from local_stack import services
from local_stack.certificates import TRUST_DOMAIN, CertificateAuthority, CertificateFiles
from local_stack.provision import create_database
from local_stack.servers.backing import Cache, Record
from local_stack.servers.binding import bind_command
from local_stack.servers.child import Child
from local_stack.servers.postgres import PostgresCluster, PostgresServer
from local_stack.servers.valkey import ValkeyFolder
from local_stack.services import ACTION_GATEWAY, SCORE_SERVICE, Identities, Settings
from local_stack.state import StateFolder
from local_stack.terminal import Terminal
from score_client import ClientCredentials, ScoreClient

DATABASE: Final = "laurel"
_ROOT = Path(__file__).parents[2]
_POLICY = Path(__file__).with_name("policy.toml")
_ACTIONS = Path(__file__).with_name("actions.toml")
_READY_SECONDS = 60.0
_PREPARE_THRESHOLD = 5
# One player of the bench does what many do elsewhere.
_GATEWAY_LIMITS = {
    f"ACTION_GATEWAY_{name}_PER_MINUTE": "1000000"
    for name in ("STARTS", "COMPLETES", "REDEEMS", "LOGINS", "REGISTRATIONS")
}
# Tickets wait for the round in which they are redeemed.
_GATEWAY_TICKETS = {"ACTION_GATEWAY_TICKET_SECONDS": "60"}


@dataclass(slots=True)
class Stack:
    """What runs, and how to reach it."""

    state: StateFolder
    postgres: PostgresServer
    settings: Settings
    identities: Identities
    certificate: CertificateFiles
    """Of the bench itself."""
    children: dict[str, Child] = field(default_factory=dict)
    """By the name under which their CPU is counted, in the order of their start."""
    load_pids: set[int] = field(default_factory=lambda: {os.getpid()})
    """Processes that make load."""

    @property
    def target(self) -> str:
        """The score service, by the name in its certificate."""
        return _target(self._addresses(SCORE_SERVICE)["grpc"])

    @property
    def cache(self) -> Cache:
        """How to reach Valkey."""
        return self.settings.cache

    def start_service(self) -> None:
        """Migrate the database and start the score service."""
        self.migrate(self.settings)
        self._serve("service", SCORE_SERVICE, self._service_environment())

    def start_gateway(self) -> str:
        """Start a gateway before the score service, if none runs; return the address of its HTTP port."""
        if "gateway" in self.children:
            return self._addresses(ACTION_GATEWAY)["http"]
        self._run(ACTION_GATEWAY, "migrate", self.settings.owner(ACTION_GATEWAY))
        self._run(ACTION_GATEWAY, "load-actions", self.settings.owner(ACTION_GATEWAY), str(_ACTIONS))
        environment = self.settings.action_gateway(self.identities.action_gateway, 0, self.target)
        self._serve("gateway", ACTION_GATEWAY, environment | _GATEWAY_LIMITS | _GATEWAY_TICKETS)
        return self._addresses(ACTION_GATEWAY)["http"]

    def start_echo(self) -> str:
        """Start the bare server, if it does not run; return its target."""
        path = services.ready_file(self.state, "echo")
        if "echo" not in self.children:
            child = self._start("echo", self._echo_command(path))
            child.wait_until(path.exists, _READY_SECONDS)
        return _target(self._addresses("echo")["grpc"])

    def time_service_start(self) -> float:
        """Start one more score service and stop it; return the seconds that it took to be ready."""
        path = services.ready_file(self.state, "starting")
        environment = self._service_environment() | {"SCORE_SERVICE_READY_FILE": str(path)}
        command = [sys.executable, "-m", SCORE_SERVICE, "serve"]

        def is_ready() -> bool:
            return path.exists() and services.is_ready(self._addresses("starting")["admin"])

        return self._time_start(command, environment, path, is_ready)

    def time_echo_start(self) -> float:
        """Start one more bare server and stop it; return the seconds until it listened."""
        path = services.ready_file(self.state, "starting")
        return self._time_start(self._echo_command(path), {}, path, path.exists)

    def _time_start(
        self, command: Sequence[str], settings: Mapping[str, str], path: Path, is_ready: Callable[[], bool]
    ) -> float:
        path.unlink(missing_ok=True)
        began = time.monotonic()
        child = self._start("starting", command, settings)
        try:
            child.wait_until(is_ready, _READY_SECONDS)
            return time.monotonic() - began
        finally:
            child.stop()
            del self.children["starting"]

    def channel(self, target: str, options: Sequence[tuple[str, Any]] = ()) -> grpc.aio.Channel:
        """Connect with the identity of the bench."""
        direct = ("grpc.enable_http_proxy", 0)
        return grpc.aio.secure_channel(target, credentials_of(self.certificate), (*options, direct))

    def client(self, target: str, **options: Any) -> ScoreClient:
        """Make a client with the identity of the bench."""
        files = self.certificate
        credentials = ClientCredentials(files.ca_file, files.certificate_file, files.key_file)
        return ScoreClient(target, credentials=credentials, **options)

    def make_record(self, name: str) -> Record:
        """Make one more record on the same server, which no service looks at."""
        create_database(self.postgres.admin_url(), name)
        record = Record.prepare(self.postgres.admin_url(name))
        self.migrate(replace(self.settings, record=record))
        return record

    def migrate(self, settings: Settings) -> None:
        """Migrate a record."""
        self._run(SCORE_SERVICE, "migrate", settings.owner(SCORE_SERVICE))

    async def run_command(self, settings: Settings, *words: str) -> str:
        """Run a command of the score service to its end, and return its output.

        Raises:
            RuntimeError: the command failed.
        """
        process = await asyncio.create_subprocess_exec(
            *bind_command([sys.executable, "-m", SCORE_SERVICE, *words]),
            env={**os.environ, **settings.score_service(self.identities.score_service, 0)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        output, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"score-service {words[0]} failed:\n{output.decode()}")
        return output.decode()

    @property
    def environment(self) -> dict[str, str]:
        """What programs of the bench need to find it."""
        paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}

    def usage(self) -> Usage:
        """Return the CPU used up to now."""
        trees = {name: child.process.pid for name, child in self.children.items()}
        return read_usage(trees, {"load": self.load_pids})

    def memory(self) -> float:
        """Return the bytes that the score service has in memory."""
        return read_memory(self.children["service"].process.pid)

    def require_running(self) -> None:
        """Raise ServerFailedError, with its last words, if a server has ended."""
        for child in self.children.values():
            child.require_running()

    def _service_environment(self) -> dict[str, str]:
        environment = self.settings.score_service(self.identities.score_service, 0)
        return environment | {"SCORE_SERVICE_POLICY_FILE": str(_POLICY)}

    def _echo_command(self, ready_file: Path) -> list[str]:
        server = self.identities.score_service
        files = (ready_file, server.ca_file, server.certificate_file, server.key_file)
        return [sys.executable, "-m", "bench.stack.echo", *map(str, files)]

    def _run(self, package: str, command: str, settings: Mapping[str, str], *arguments: str) -> None:
        words = bind_command([sys.executable, "-m", package, command, *arguments])
        log = self.state.new_log(f"{package}-{command}")
        Child.start(f"{package} {command}", words, log, environment={**os.environ, **settings}).finish()

    def _serve(self, name: str, package: str, settings: Mapping[str, str]) -> None:
        path = services.ready_file(self.state, package)
        child = self._start(name, [sys.executable, "-m", package, "serve"], settings)
        child.wait_until(path.exists, _READY_SECONDS)
        admin = self._addresses(package)["admin"]
        child.wait_until(lambda: services.is_ready(admin), _READY_SECONDS)

    def _start(self, name: str, command: Sequence[str], settings: Mapping[str, str] | None = None) -> Child:
        environment = {**self.environment, **(settings or {})}
        child = Child.start(name, bind_command(command), self.state.new_log(name), environment=environment)
        self.children[name] = child
        return child

    def _addresses(self, name: str) -> Mapping[str, str]:
        text = services.ready_file(self.state, name).read_text(encoding="utf-8")
        return dict(json.loads(text))


@contextmanager
def running_stack(folder: Path, terminal: Terminal) -> Iterator[Stack]:
    """Start PostgreSQL, Valkey and the score service in an empty folder; stop everything at the end."""
    state, children = StateFolder(folder), dict[str, Child]()
    folder.chmod(0o711)  # The servers' own account passes through.
    try:
        with terminal.step("PostgreSQL with fsync, Valkey and the score service"):
            postgres = PostgresCluster(folder / "postgres", state.new_log("postgres")).start()
            children["postgres"] = postgres.child
            cache = ValkeyFolder(folder / "valkey", state.new_log("valkey")).start()
            children["redis"] = cache.child
            create_database(postgres.admin_url(), DATABASE)
            record = Record.prepare(postgres.admin_url(DATABASE))
            settings = Settings(state, record, Cache.prepare(cache.url()), "")
            identities, certificate = services.issue_identities(state), _issue_bench(state)
            stack = Stack(state, postgres, settings, identities, certificate, children)
            stack.start_service()
        yield stack
    finally:
        with terminal.step("Stopping", done="Stopped"):
            _stop_all(children)


async def connect(record: Record, role: str) -> psycopg.AsyncConnection[DictRow]:
    """Connect to a record as the score service does."""
    dsn = make_conninfo(record.dsns[role], password=record.passwords[role])
    connect = psycopg.AsyncConnection.connect
    return await connect(dsn, autocommit=True, row_factory=dict_row, prepare_threshold=_PREPARE_THRESHOLD)


def credentials_of(files: CertificateFiles) -> grpc.ChannelCredentials:
    """Make the credentials of a client that shows a certificate."""
    return grpc.ssl_channel_credentials(
        files.ca_file.read_bytes(), files.key_file.read_bytes(), files.certificate_file.read_bytes()
    )


def _issue_bench(state: StateFolder) -> CertificateFiles:
    authority = CertificateAuthority.open(state.folder("certificates"))
    return authority.issue("bench", uris=[f"spiffe://{TRUST_DOMAIN}/bench"])


def _stop_all(children: dict[str, Child]) -> None:
    while children:
        children[next(reversed(children))].stop()
        children.popitem()


def _target(address: str) -> str:
    return f"dns:///localhost:{address.rpartition(':')[2]}"
