"""Starts a cluster from nothing, in an empty folder."""

import os
import random
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from psycopg.conninfo import make_conninfo

from faults.cluster.actions import ACTIONS_FILE
from faults.cluster.boards import write_boards
from faults.cluster.certificates import SERVER_NAME, Certificates, Holder
from faults.cluster.cluster import BACKENDS, DATABASE, GATEWAYS, SCORES, Cluster, target_of
from faults.cluster.command import AGED, ARCHIVED_DAYS, Command
from faults.cluster.postgres import Postgres, PostgresPair
from faults.cluster.service import Service
from faults.cluster.valkey import Valkey, ValkeyPair
from faults.deadlines import within
from faults.network.balancer import Balancer, Upstream
from faults.network.proxy import Proxy
from local_stack.errors import ServerFailedError
from local_stack.provision import create_database
from local_stack.servers.backing import Cache, Record
from local_stack.servers.binding import bind_command
from local_stack.servers.child import Child
from local_stack.servers.ports import HOST
from local_stack.servers.postgres import PostgresCluster
from local_stack.servers.valkey import ValkeyFolder
from local_stack.services import ACTION_GATEWAY, SCORE_SERVICE, Settings, issuer_settings
from local_stack.state import StateFolder

_GATEWAY_HOLDER: Final = Holder("action-gateway")
_SCORE_HOLDER: Final = Holder("score-service", serves=True)
_CALLERS: Final = (*map(Holder, BACKENDS), _GATEWAY_HOLDER)
_START_SECONDS: Final = 300.0
_STOP_SECONDS: Final = 300.0
_PORTS: Final = range(20_000, 32_000)
"""Below those that the system gives to connections, so that none takes one while its server is stopped."""
_POLICY: Final = """\
[[identity]]
spiffe_id = "{}"
methods = [
    "score_api.v1.ScoreService/*", "score_api.v1.LeaderboardService/*", "score_api.v1.BoardService/*",
    "score_api.v1.CorrectionService/*", "score_api.v1.LedgerService/*",
]
boards = ["*"]
max_points = 1_000_000
awards_per_second = 1_000_000
points_per_minute = 1_000_000_000
backdate_seconds = 3_600
"""
# Short enough to happen during a run, and to be seen through within a fault.
_BOTH: Final = {"DRAIN_SECONDS": "1", "STOP_SECONDS": "5"}
_SCORE: Final = {
    **_BOTH,
    "TLS_RELOAD_SECONDS": "0.5",
    "CONNECTION_AGE_SECONDS": "60",
    "CONNECTION_GRACE_SECONDS": "20",
    "AUDIT_SECONDS": "20",
}
# One player of the run does what many do elsewhere.
_GATEWAY: Final = {
    **_BOTH,
    "SCORE_SERVER_NAME": SERVER_NAME,
    "ACCESS_TOKEN_SECONDS": "45",
    "TICKET_SECONDS": "2",
    **{
        f"{name}_PER_MINUTE": "1000000"
        for name in ("STARTS", "COMPLETES", "REDEEMS", "LOGINS", "REGISTRATIONS")
    },
}


@asynccontextmanager
async def running_cluster(folder: Path, board_ids: Sequence[str] = ()) -> AsyncIterator[Cluster]:
    """Start everything in an empty folder and wait until it is ready; stop everything at the end.

    These boards have seasons, which follow each other all the time.

    To be used from the main thread, with which the processes end.
    """
    stack = AsyncExitStack()
    try:
        async with within(_START_SECONDS, "the stack to start"):
            cluster = await _Builder(_open_folder(folder), stack, board_ids).build()
            await cluster.until_ready()
        yield cluster
    finally:
        async with within(_STOP_SECONDS, "the stack to stop"):
            await stack.aclose()


class _Builder:
    """Puts a cluster together, and has the stack end each part of it."""

    def __init__(self, state: StateFolder, stack: AsyncExitStack, board_ids: Sequence[str]) -> None:
        self._state = state
        self._stack = stack
        self._board_ids = board_ids
        self._ports = _choose_ports()

    async def build(self) -> Cluster:
        postgreses, valkeys = await self._start_stores()
        create_database(postgreses.primary.server.admin_url(), DATABASE)
        cluster = Cluster(
            self._state.path,
            postgreses,
            valkeys,
            Record.prepare(postgreses.primary.server.admin_url(DATABASE)),
            Certificates(self._state.folder("certificates"), (*_CALLERS, _SCORE_HOLDER)),
            Balancer(),
            Path(issuer_settings(self._state)["ACTION_GATEWAY_TICKET_ISSUERS_FILE"]),
        )
        settings = Settings(self._state, cluster.record, Cache.prepare(valkeys.primary.url), "")
        cluster.archiver = await self._make_archiver(cluster, settings)
        self._stack.push_async_callback(cluster.stop)
        self._prepare_schemas(cluster, settings)
        await postgreses.begin()
        await self._start_scores(cluster, settings)
        await self._start_gateways(cluster, settings)
        return cluster

    async def _start_stores(self) -> tuple[PostgresPair, ValkeyPair]:
        primary, standby = (self._make_postgres(name) for name in ("postgres-1", "postgres-2"))
        primary.start()
        password = secrets.token_urlsafe(24)
        first, second = (self._start_valkey(name, password) for name in ("valkey-1", "valkey-2"))
        for member in (primary, standby, first, second):
            self._stack.callback(member.end)
        for member in (primary, first, second):
            await member.until_ready()
        postgreses = PostgresPair(primary, standby, await self._link(primary.address))
        valkeys = ValkeyPair(first, second, await self._link(first.address))
        await valkeys.follow()
        return postgreses, valkeys

    def _make_postgres(self, name: str) -> Postgres:
        data = PostgresCluster(self._state.path / name, self._log(name))
        return Postgres(name, data, next(self._ports))

    def _start_valkey(self, name: str, password: str) -> Valkey:
        folder = ValkeyFolder(self._state.path / name, self._log(name))
        valkey = Valkey(name, folder, next(self._ports), password)
        valkey.start()
        return valkey

    def _prepare_schemas(self, cluster: Cluster, settings: Settings) -> None:
        owners = {package: settings.owner(package) for package in (SCORE_SERVICE, ACTION_GATEWAY)}
        migrations = [self._run(package, owner, "migrate") for package, owner in owners.items()]
        for migration in migrations:
            migration.finish()
        self._run(ACTION_GATEWAY, owners[ACTION_GATEWAY], "load-actions", str(ACTIONS_FILE)).finish()
        if self._board_ids:
            boards_file = self._state.path / "boards.toml"
            boards_file.write_text(write_boards(self._board_ids, datetime.now(UTC)), encoding="utf-8")
            server = settings.score_service(cluster.certificates.files(_SCORE_HOLDER.name), next(self._ports))
            self._run(SCORE_SERVICE, server, "boards", "apply", str(boards_file)).finish()

    async def _make_archiver(self, cluster: Cluster, settings: Settings) -> Command:
        """Make what archives old awards: they are old after some seconds."""
        postgres = cluster.links["archiver->postgres"] = await self._link(cluster.postgres.address)
        owner = settings.owner(SCORE_SERVICE)
        dsn = {"MIGRATION_DSN": make_conninfo(owner["SCORE_SERVICE_MIGRATION_DSN"], port=postgres.port)}
        folder = str(self._state.folder(cluster.ledgers.name))
        arguments = ("ledger", "archive", folder, "--older-than", str(ARCHIVED_DAYS))
        log = self._log("archiver")
        archiver = Command("archiver", arguments, owner | _named(SCORE_SERVICE, dsn), log)
        archiver.launcher = AGED
        return archiver

    async def _start_scores(self, cluster: Cluster, settings: Settings) -> None:
        policy = self._state.path / "policy.toml"
        policy.write_text("\n".join(_POLICY.format(caller.spiffe_id) for caller in _CALLERS), "utf-8")
        files, changes = (
            cluster.certificates.files(_SCORE_HOLDER.name),
            {"POLICY_FILE": str(policy), **_SCORE},
        )
        for name in SCORES:
            port = next(self._ports)
            environment = settings.score_service(files, port) | _named(SCORE_SERVICE, changes)
            score = await self._start_service(cluster, name, SCORE_SERVICE, port, environment)
            cluster.links[f"clients->{name}"] = await self._link(score.address)

    async def _start_gateways(self, cluster: Cluster, settings: Settings) -> None:
        files = cluster.certificates.files(_GATEWAY_HOLDER.name)
        changes = {**_GATEWAY, "TICKET_ISSUERS_FILE": str(cluster.issuers_file)}
        upstreams = []
        for name in GATEWAYS:
            for score in SCORES:
                cluster.links[f"{name}->{score}"] = await self._link(cluster.services[score].address)
            port, target = next(self._ports), target_of(cluster.links_to("score", of=name))
            environment = settings.action_gateway(files, port, target) | _named(ACTION_GATEWAY, changes)
            gateway = await self._start_service(cluster, name, ACTION_GATEWAY, port, environment)
            cluster.links[f"players->{name}"] = await self._link(gateway.address)
            upstreams.append(Upstream(gateway.address, gateway.admin))
        self._stack.push_async_callback(cluster.balancer.stop)
        await cluster.balancer.start(upstreams)
        cluster.links["players->gateways"] = await self._link(cluster.balancer.address)

    async def _start_service(
        self, cluster: Cluster, name: str, package: str, port: int, environment: Mapping[str, str]
    ) -> Service:
        """Start a replica that has ways of its own to the stores."""
        postgres = await self._link(cluster.postgres.address)
        valkey = await self._link(cluster.valkeys.primary.address)
        cluster.links |= {f"{name}->postgres": postgres, f"{name}->valkey": valkey}
        admin = f"{HOST}:{next(self._ports)}"
        own = {
            "DATABASE_DSN": make_conninfo(environment[f"{package.upper()}_DATABASE_DSN"], port=postgres.port),
            "REDIS_URL": f"redis://{valkey.address}/0",
            "ADMIN_LISTEN": admin,
            "READY_FILE": str(self._state.folder("run") / f"{name}.json"),
        }
        settings = {**environment, **_named(package, own)}
        service = Service(name, package, f"{HOST}:{port}", admin, settings, self._log(name))
        cluster.services[name] = service
        service.start()
        return service

    async def _link(self, upstream: str) -> Proxy:
        proxy = Proxy(upstream)
        await proxy.start()
        self._stack.push_async_callback(proxy.stop)
        return proxy

    def _run(self, package: str, settings: Mapping[str, str], command: str, *arguments: str) -> Child:
        words = bind_command([sys.executable, "-m", package, command, *arguments])
        environment = {**os.environ, **settings}
        return Child.start(f"{package} {command}", words, self._log(package), environment=environment)

    def _log(self, name: str) -> Path:
        path = self._state.folder("logs") / f"{name}.log"
        path.touch(mode=0o600)
        return path


def _open_folder(folder: Path) -> StateFolder:
    folder.chmod(0o711)  # The servers' own account passes through.
    return StateFolder(folder)


def _choose_ports() -> Iterator[int]:
    """Yield ports on which no process listens, each once."""
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        yield port
    raise ServerFailedError("No port is free.")


def _named(package: str, settings: Mapping[str, str]) -> dict[str, str]:
    return {f"{package.upper()}_{name}": value for name, value in settings.items()}
