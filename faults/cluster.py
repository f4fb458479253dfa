"""The stack that is broken: two replicas of each service on PostgreSQL and Valkey, a proxy on every way.

    players ── balancer ── gateway-1, gateway-2 ── score-1, score-2 ── postgres
    backends and watchers ─────────────────────── score-1, score-2 ── valkey ── replica

Everything lies in one folder, listens on ports of the loopback interface that stay the same, and ends with
this process, however that ends. The proxies and the balancer run in it.
"""

import asyncio
import os
import random
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from psycopg.conninfo import make_conninfo

from faults.balancer import Balancer, Upstream
from faults.certificates import SERVER_NAME, Certificates, Holder
from faults.load import Doors
from faults.member import Member
from faults.postgres import Postgres
from faults.proxy import Proxy
from faults.service import Service
from faults.valkey import Valkey, ValkeyPair
from local_stack.backing import Cache, Record
from local_stack.binding import bind_command
from local_stack.certificates import CertificateFiles
from local_stack.child import Child
from local_stack.errors import ServerFailedError
from local_stack.ports import HOST
from local_stack.postgres import PostgresCluster
from local_stack.provision import create_database
from local_stack.services import ACTION_GATEWAY, SCORE_SERVICE, Settings
from local_stack.state import StateFolder
from local_stack.valkey import ValkeyFolder
from score_client import ClientCredentials

BACKENDS: Final = ("backend-1", "backend-2", "backend-3")
GATEWAY: Final = "action-gateway"
SERVICE: Final = "score-service"
CACHE_PREFIX: Final = "laurel:"
"""What the keys of the score service begin with."""
PLAYERS: Final = "players"
CLIENTS: Final = "clients"
POSTGRES: Final = "postgres"
VALKEY: Final = "valkey"
_DATABASE: Final = "laurel"
_ACTIONS: Final = Path(__file__).with_name("actions.toml")
_PORTS: Final = range(20_000, 32_000)
"""Below those that the system gives to connections, so that nobody takes one while its server is away."""
_POLICY: Final = """\
[[identity]]
spiffe_id = "{}"
methods = ["score_api.v1.ScoreService/*", "score_api.v1.LeaderboardService/*"]
boards = ["*"]
max_points = 1_000_000
awards_per_second = 1_000_000
points_per_minute = 1_000_000_000
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
    **{f"{name}_PER_MINUTE": "1000000" for name in ("STARTS", "COMPLETES", "LOGINS", "REGISTRATIONS")},
}


@dataclass(slots=True)
class Cluster:
    """All parts, by which faults find them."""

    folder: Path
    postgres: Postgres
    valkeys: ValkeyPair
    record: Record
    certificates: Certificates
    balancer: Balancer
    links: dict[str, Proxy] = field(default_factory=dict)
    """Proxies by the way they stand on, as `gateway-1->score-2` or `players->gateways`."""
    services: dict[str, Service] = field(default_factory=dict)
    """`score-1`, `score-2`, `gateway-1`, `gateway-2`."""

    @property
    def doors(self) -> Doors:
        """Where the load goes."""
        return Doors(
            score_target=_target(self.links_to("score", of=CLIENTS)),
            backends=tuple(_credentials(self.certificates.files(name)) for name in BACKENDS),
            server_name=SERVER_NAME,
            gateway_url=f"http://{_address(self.links[f'{PLAYERS}->gateways'])}",
        )

    @property
    def members(self) -> tuple[Member, ...]:
        """Every process that can be broken."""
        return (self.postgres, *self.valkeys.members, *self.services.values())

    def links_to(self, target: str, of: str = "") -> list[Proxy]:
        """Tell the proxies on the ways to targets whose names begin so, of one client or of all."""
        found = (name.split("->") for name in self.links)
        return [
            self.links[f"{client}->{server}"]
            for client, server in found
            if server.startswith(target) and of in {"", client}
        ]

    def admin_dsn(self) -> str:
        """Tell how to read the record past every proxy, as the superuser."""
        return self.postgres.server.admin_url(_DATABASE)

    def former_dsn(self, port: int) -> str:
        """Tell the same of a server on former data, at some port."""
        return make_conninfo(self.admin_dsn(), port=port)

    async def until_ready(self) -> None:
        """Wait until every member can do its work. Raises ServerFailedError if that does not come."""
        async with asyncio.TaskGroup() as waits:
            for member in self.members:
                waits.create_task(member.until_ready())

    async def stop(self) -> None:
        """End every process, services first and in order."""
        for link in self.links.values():
            link.release()
        for member in self.members:
            member.resume()
        async with asyncio.TaskGroup() as stops:
            for service in self.services.values():
                stops.create_task(service.stop())
        for member in self.members:
            if member.child is not None:
                member.child.stop()


@asynccontextmanager
async def running_cluster(folder: Path) -> AsyncIterator[Cluster]:
    """Start everything in an empty folder and wait until it is ready; stop everything at the end.

    To be used from the main thread, with which the processes end.
    """
    builder = _Builder(_open_folder(folder))
    async with AsyncExitStack() as stack:
        cluster = await builder.build(stack)
        await cluster.until_ready()
        yield cluster


@dataclass(slots=True)
class _Builder:
    """Puts a cluster together."""

    state: StateFolder
    ports: Iterator[int] = field(default_factory=lambda: _choose_ports())  # noqa: PLW0108 - it is made further down

    async def build(self, stack: AsyncExitStack) -> Cluster:
        postgres, valkeys = await self._start_stores(stack)
        create_database(postgres.server.admin_url(), _DATABASE)
        holders = [Holder(name) for name in (*BACKENDS, GATEWAY)]
        cluster = Cluster(
            self.state.path,
            postgres,
            valkeys,
            Record.prepare(postgres.server.admin_url(_DATABASE)),
            Certificates(self.state.folder("certificates"), [*holders, Holder(SERVICE, serves=True)]),
            Balancer(),
        )
        stack.push_async_callback(cluster.stop)
        settings = Settings(self.state, cluster.record, Cache.prepare(valkeys.primary.url), "")
        self._prepare_schemas(settings)
        await self._add_scores(cluster, settings, stack)
        await self._add_gateways(cluster, settings, stack)
        return cluster

    async def _start_stores(self, stack: AsyncExitStack) -> tuple[Postgres, ValkeyPair]:
        data = PostgresCluster(self.state.path / "postgres", self._log("postgres"))
        data.start().stop()
        server = data.spawn(next(self.ports))
        stack.callback(server.child.stop)
        postgres = Postgres(POSTGRES, data, server)
        password = secrets.token_urlsafe(24)
        valkeys = [self._make_valkey(f"{VALKEY}-{number}", password) for number in (1, 2)]
        for valkey in valkeys:
            valkey.start()
            stack.callback(valkey.child.stop if valkey.child else lambda: None)
        for member in (postgres, *valkeys):
            await member.until_ready()
        link = await self._link(stack, valkeys[0].address)
        pair = ValkeyPair(valkeys[0], valkeys[1], link)
        await pair.follow()
        return postgres, pair

    def _make_valkey(self, name: str, password: str) -> Valkey:
        folder = ValkeyFolder(self.state.path / name, self._log(name))
        return Valkey(name, folder, next(self.ports), password)

    def _prepare_schemas(self, settings: Settings) -> None:
        for package in (SCORE_SERVICE, ACTION_GATEWAY):
            self._run(package, "migrate", settings=settings)
        self._run(ACTION_GATEWAY, "load-actions", str(_ACTIONS), settings=settings)

    async def _add_scores(self, cluster: Cluster, settings: Settings, stack: AsyncExitStack) -> None:
        policy = self.state.path / "policy.toml"
        identities = [Holder(name).spiffe_id for name in (*BACKENDS, GATEWAY)]
        policy.write_text("\n".join(map(_POLICY.format, identities)), encoding="utf-8")
        for name in ("score-1", "score-2"):
            port = next(self.ports)
            files = cluster.certificates.files(SERVICE)
            service = await self._make_service(
                cluster, stack, name, SCORE_SERVICE, settings.score_service(files, port), port
            )
            service.settings |= _named(SCORE_SERVICE, {**_SCORE, "POLICY_FILE": str(policy)})
            cluster.links[f"{CLIENTS}->{name}"] = await self._link(stack, service.address)
            service.start()

    async def _add_gateways(self, cluster: Cluster, settings: Settings, stack: AsyncExitStack) -> None:
        files = cluster.certificates.files(GATEWAY)
        for name in ("gateway-1", "gateway-2"):
            port = next(self.ports)
            for score in ("score-1", "score-2"):
                cluster.links[f"{name}->{score}"] = await self._link(stack, cluster.services[score].address)
            target = _target(cluster.links_to("score", of=name))
            environment = settings.action_gateway(files, port, target)
            service = await self._make_service(cluster, stack, name, ACTION_GATEWAY, environment, port)
            service.settings |= _named(ACTION_GATEWAY, _GATEWAY)
            service.start()
        gateways = [service for service in cluster.services.values() if service.package == ACTION_GATEWAY]
        stack.push_async_callback(cluster.balancer.stop)
        await cluster.balancer.start(Upstream(gateway.address, gateway.admin) for gateway in gateways)
        cluster.links[f"{PLAYERS}->gateways"] = await self._link(stack, cluster.balancer.address)

    async def _make_service(
        self,
        cluster: Cluster,
        stack: AsyncExitStack,
        name: str,
        package: str,
        environment: Mapping[str, str],
        port: int,
    ) -> Service:
        """Make a replica with ways of its own to the stores, and add it."""
        stores = {
            POSTGRES: f"{HOST}:{cluster.postgres.server.port}",
            VALKEY: cluster.valkeys.primary.address,
        }
        for store, address in stores.items():
            cluster.links[f"{name}->{store}"] = await self._link(stack, address)
        admin = f"{HOST}:{next(self.ports)}"
        database = environment[f"{package.upper()}_DATABASE_DSN"]
        own = {
            "DATABASE_DSN": make_conninfo(database, port=cluster.links[f"{name}->{POSTGRES}"].port),
            "REDIS_URL": f"redis://{_address(cluster.links[f'{name}->{VALKEY}'])}/0",
            "ADMIN_LISTEN": admin,
            "READY_FILE": str(self.state.folder("run") / f"{name}.json"),
        }
        settings = {**environment, **_named(package, own)}
        service = Service(name, package, f"{HOST}:{port}", admin, settings, self._log(name))
        cluster.services[name] = service
        return service

    async def _link(self, stack: AsyncExitStack, upstream: str) -> Proxy:
        proxy = Proxy(upstream)
        await proxy.start()
        stack.push_async_callback(proxy.stop)
        return proxy

    def _run(self, package: str, *arguments: str, settings: Settings) -> None:
        words = bind_command([sys.executable, "-m", package, *arguments])
        environment = {**os.environ, **settings.owner(package)}
        Child.start(f"{package} {arguments[0]}", words, self._log(package), environment=environment).finish()

    def _log(self, name: str) -> Path:
        path = self.state.folder("logs") / f"{name}.log"
        path.touch(mode=0o600)
        return path


def _open_folder(folder: Path) -> StateFolder:
    folder.chmod(0o711)  # The servers' own account passes through.
    return StateFolder(folder)


def _choose_ports() -> Iterator[int]:
    """Give ports that nobody listens on, each once."""
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


def _address(proxy: Proxy) -> str:
    return f"{HOST}:{proxy.port}"


def _target(proxies: Sequence[Proxy]) -> str:
    """Name all of them to gRPC, which goes round them."""
    return f"ipv4:{','.join(map(_address, proxies))}"


def _credentials(files: CertificateFiles) -> ClientCredentials:
    return ClientCredentials(files.ca_file, files.certificate_file, files.key_file)
