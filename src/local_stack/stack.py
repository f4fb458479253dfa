"""The whole stack: what is started, in which order, and what happens when a part of it ends."""

import os
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from local_stack import services
from local_stack.provision import create_database
from local_stack.sample_boards import BOARDS_FILE, write_boards
from local_stack.secret_file import write_secret
from local_stack.servers.backing import Cache, Record
from local_stack.servers.binding import bind_command
from local_stack.servers.child import Child
from local_stack.servers.postgres import PostgresCluster
from local_stack.servers.valkey import ValkeyFolder
from local_stack.services import ACTION_GATEWAY, SCORE_SERVICE, Settings
from local_stack.state import StateFolder
from local_stack.terminal import Terminal

_DATABASE = "laurel"
_READY_SECONDS = 60.0
_WATCH_SECONDS = 0.2
_AWARD_EXAMPLE = Path(__file__).with_name("samples") / "award_points.py"
_TICKET_EXAMPLE = Path(__file__).with_name("samples") / "issue_ticket.py"
_ENVIRONMENT = "score-service.env"
_GATEWAY_ENVIRONMENT = "action-gateway.env"
_ADMIN_ENVIRONMENT = "score-admin.env"
_EXAMPLE_TARGET = "dns:///localhost:50051"
_EXAMPLE_GATEWAY = "http://localhost:8080"
# They hold passwords that no child needs.
_OWN_VARIABLES = {"DATABASE_URL", "REDIS_URL"}


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for; HTTP port 0 means any."""

    http_port: int
    grpc_port: int
    database_url: str | None
    redis_url: str | None


@dataclass(slots=True)
class Stack:
    """Starts, watches and stops everything; `children` run, in the order of their start."""

    options: Options
    state: StateFolder
    keep_open: int
    terminal: Terminal
    children: list[Child] = field(default_factory=list)
    interrupted: bool = False

    def interrupt(self) -> NoReturn:
        """Raise KeyboardInterrupt, now and again until it is handled.

        An exception raised in a signal handler is lost where it happens to land in a destructor.
        """
        self.interrupted = True
        raise KeyboardInterrupt

    def start(self) -> None:
        """Start everything and wait until both services are ready."""
        record = self._prepare_record()
        cache = self._prepare_cache()
        # An external server may serve stacks with other databases too.
        prefix = f"{record.identity}:" if self.options.redis_url else ""
        settings = Settings(self.state, record, cache, prefix)
        with self.terminal.step("Migrations"):
            self._migrate(settings)
        with self.terminal.step("Score service, action gateway and sample actions"):
            self._serve(settings)
        self._write_examples()

    def watch(self) -> NoReturn:
        """Raise ServerFailedError as soon as a server ends; until then, wait."""
        while True:
            self._look()
            time.sleep(_WATCH_SECONDS)

    def stop(self) -> None:
        """Stop everything, the last started first."""
        while self.children:
            child = self.children[-1]
            child.stop()
            self.children.pop()

    @property
    def http_address(self) -> str:
        """Where the gateway listens."""
        return services.read_addresses(self.state, ACTION_GATEWAY)["http"]

    @property
    def score_target(self) -> str:
        """Where the score service listens, by the name that its certificate has."""
        return f"dns:///localhost:{self.options.grpc_port}"

    @property
    def award_example(self) -> Path:
        """The program that awards points here."""
        return self.state.path / _AWARD_EXAMPLE.name

    @property
    def ticket_example(self) -> Path:
        """The program that issues a ticket and redeems it here."""
        return self.state.path / _TICKET_EXAMPLE.name

    def _prepare_record(self) -> Record:
        if self.options.database_url:
            with self.terminal.step("PostgreSQL of DATABASE_URL"):
                return Record.prepare(self.options.database_url)
        with self.terminal.step("PostgreSQL"):
            cluster = PostgresCluster(
                self.state.path / "postgres", self.state.new_log("postgres"), keep_open=[self.keep_open]
            )
            server = cluster.start()
            self.children.append(server.child)
            create_database(server.admin_url(), _DATABASE)
            return Record.prepare(server.admin_url(_DATABASE))

    def _prepare_cache(self) -> Cache:
        if self.options.redis_url:
            with self.terminal.step("Redis of REDIS_URL"):
                return Cache.prepare(self.options.redis_url)
        with self.terminal.step("Valkey"):
            folder = ValkeyFolder(
                self.state.path / "valkey", self.state.new_log("valkey"), keep_open=[self.keep_open]
            )
            server = folder.start()
            self.children.append(server.child)
            return Cache.prepare(server.url())

    def _migrate(self, settings: Settings) -> None:
        migrations = [
            self._start(package, "migrate", settings=settings.owner(package))
            for package in (SCORE_SERVICE, ACTION_GATEWAY)
        ]
        for migration in migrations:
            self._finish(migration)

    def _serve(self, settings: Settings) -> None:
        # All at once, since most of a start is Python loading libraries.
        actions = ("load-actions", str(services.ACTIONS_FILE))
        loading = self._start(ACTION_GATEWAY, *actions, settings=settings.owner(ACTION_GATEWAY))
        identities = services.issue_identities(self.state)
        environment = settings.score_service(identities.score_service, self.options.grpc_port)
        applying = self._start(
            SCORE_SERVICE, "boards", "apply", str(self._write_boards()), settings=environment
        )
        score_service = self._start_service(SCORE_SERVICE, environment)
        self._write_environment(_ENVIRONMENT, environment)
        self._write_environment(
            _ADMIN_ENVIRONMENT, services.admin_settings(identities.operator, self.score_target)
        )
        environment = settings.action_gateway(
            identities.action_gateway, self.options.http_port, self.score_target
        ) | services.issuer_settings(self.state)
        gateway = self._start_service(ACTION_GATEWAY, environment)
        # Also for the commands of an operator that connect as the owner, such as `grant`.
        self._write_environment(_GATEWAY_ENVIRONMENT, environment | settings.owner(ACTION_GATEWAY))
        self._finish(loading)
        self._finish(applying)
        score_service.wait_until(lambda: self._is_ready(SCORE_SERVICE), _READY_SECONDS)
        gateway.wait_until(lambda: self._is_ready(ACTION_GATEWAY), _READY_SECONDS)

    def _is_ready(self, package: str) -> bool:
        # A service whose database has died would wait for it, and so would this process.
        self._look()
        addresses = services.read_addresses(self.state, package)
        return bool(addresses) and services.is_ready(addresses["admin"])

    def _look(self) -> None:
        if self.interrupted:
            self.interrupt()
        for child in self.children:
            child.require_running()

    def _start_service(self, package: str, settings: Mapping[str, str]) -> Child:
        services.ready_file(self.state, package).unlink(missing_ok=True)
        return self._start(package, "serve", settings=settings)

    def _start(self, package: str, *arguments: str, settings: Mapping[str, str]) -> Child:
        inherited = {name: value for name, value in os.environ.items() if name not in _OWN_VARIABLES}
        child = Child.start(
            f"{package} {arguments[0]}",
            bind_command([sys.executable, "-m", package, *arguments]),
            self.state.new_log(f"{package}-{arguments[0]}".replace("_", "-")),
            environment={**inherited, **settings},
            keep_open=[self.keep_open],
        )
        self.children.append(child)
        return child

    def _finish(self, child: Child) -> None:
        child.finish()
        self.children.remove(child)

    def _write_boards(self) -> Path:
        path = self.state.path / BOARDS_FILE.name
        path.write_text(write_boards(datetime.now(UTC)), encoding="utf-8")
        return path

    def _write_environment(self, name: str, settings: Mapping[str, str]) -> None:
        """Write settings as a shell reads them, for the commands that people run."""
        lines = [f"{name}={shlex.quote(value)}\n" for name, value in settings.items()]
        write_secret(self.state.path / name, "".join(lines).encode())

    def _write_examples(self) -> None:
        text = _AWARD_EXAMPLE.read_text(encoding="utf-8").replace(_EXAMPLE_TARGET, self.score_target)
        self.award_example.write_text(text, encoding="utf-8")
        gateway = f"http://{self.http_address}"
        text = _TICKET_EXAMPLE.read_text(encoding="utf-8").replace(_EXAMPLE_GATEWAY, gateway)
        self.ticket_example.write_text(text, encoding="utf-8")
