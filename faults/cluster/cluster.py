"""The stack that is broken: two replicas of each service on PostgreSQL and Valkey, a proxy on every way.

    players ── balancer ── gateway-1, gateway-2 ── score-1, score-2 ── postgres ── standby
    players who choose ─── gateway-1, gateway-2
    backends and watchers ─────────────────────── score-1, score-2 ── valkey ── replica
    archiver, which an operator runs again and again ──────────────── postgres

Everything lies in one folder, listens on ports of the loopback interface that stay the same, and ends with
this process, however that ends. The proxies and the balancer run in it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from psycopg.conninfo import make_conninfo

from faults.cluster.certificates import SERVER_NAME, Certificates
from faults.cluster.command import Command
from faults.cluster.endpoints import Endpoints
from faults.cluster.member import Member
from faults.cluster.postgres import FAST, Postgres, PostgresPair
from faults.cluster.service import Service
from faults.cluster.valkey import ValkeyPair
from faults.network.balancer import Balancer
from faults.network.proxy import Proxy
from local_stack.certificates import CertificateFiles
from local_stack.servers.backing import Record
from score_client import ClientCredentials

SCORES: Final = ("score-1", "score-2")
GATEWAYS: Final = ("gateway-1", "gateway-2")
SERVICES: Final = (*SCORES, *GATEWAYS)
BACKENDS: Final = ("backend-1", "backend-2", "backend-3")
DATABASE: Final = "laurel"
CACHE_PREFIX: Final = "laurel:"
"""What the keys of the score service begin with."""


@dataclass(slots=True)
class Cluster:
    """All parts, by which faults find them."""

    folder: Path
    postgreses: PostgresPair
    valkeys: ValkeyPair
    record: Record
    certificates: Certificates
    balancer: Balancer
    issuers_file: Path
    """The issuers of tickets outside."""
    links: dict[str, Proxy] = field(default_factory=dict)
    """Proxies by the way they stand on, as `gateway-1->score-2` or `players->gateways`."""
    services: dict[str, Service] = field(default_factory=dict)
    """`score-1`, `score-2`, `gateway-1`, `gateway-2`."""
    archiver: Command = field(init=False)
    """Archives old awards of all boards."""

    @property
    def postgres(self) -> Postgres:
        """The server of the record."""
        return self.postgreses.primary

    @property
    def ledgers(self) -> Path:
        """The folder with the files of ledgers."""
        return self.folder / "ledgers"

    @property
    def endpoints(self) -> Endpoints:
        """Where the load goes."""
        return Endpoints(
            score_target=target_of(self.links_to("score", of="clients")),
            backends=tuple(_credentials(self.certificates.files(name)) for name in BACKENDS),
            server_name=SERVER_NAME,
            gateway_url=f"http://{self.links['players->gateways'].address}",
            gateway_urls=tuple(f"http://{link.address}" for link in self.links_to("gateway-", of="players")),
            issuers_file=self.issuers_file,
        )

    @property
    def members(self) -> tuple[Member, ...]:
        """Every process that can be broken."""
        return (*self.postgreses.members, *self.valkeys.members, *self.services.values())

    def links_to(self, target: str, of: str = "") -> list[Proxy]:
        """Return the proxies before targets whose names begin so, of one client or of all."""
        found = (name.split("->") for name in self.links)
        return [
            self.links[f"{client}->{server}"]
            for client, server in found
            if server.startswith(target) and of in {"", client}
        ]

    def admin_dsn(self) -> str:
        """Return the DSN of the record for the superuser, which goes through no proxy."""
        return self.postgres.server.admin_url(DATABASE)

    def former_dsn(self, port: int) -> str:
        """Return the same for a server on former data, at some port."""
        return make_conninfo(self.admin_dsn(), port=port)

    def name_former(self) -> Path:
        """Name a folder that is not there yet, for data that PostgreSQL had."""
        number = sum(path.name.startswith("former-") for path in self.folder.iterdir()) + 1
        return self.folder / f"former-{number}"

    async def check(self, *arguments: str) -> str:
        """Have a command of the score service check something; return what it says if there is a fault."""
        command = Command(
            arguments[0], arguments, self.services[SCORES[0]].settings, self.folder / "logs" / "checks.log"
        )
        return await command.complete()

    async def until_ready(self) -> None:
        """Wait until every member can do its work. Raises ServerFailedError if that does not come."""
        async with asyncio.TaskGroup() as waits:
            for member in self.members:
                waits.create_task(member.until_ready())

    async def stop(self) -> None:
        """End every process, services first and in order."""
        for link in (self.postgreses.link, *self.links.values()):
            link.release()
        for member in self.members:
            member.resume()
        self.archiver.resume()
        await self.archiver.kill()
        async with asyncio.TaskGroup() as stops:
            for service in self.services.values():
                stops.create_task(service.stop())
        await self.postgres.stop(FAST)  # It waits for its standby, and for the link in this loop.
        for member in self.members:
            member.end()


def target_of(proxies: Sequence[Proxy]) -> str:
    """Name all of them to gRPC, which goes round them."""
    return f"ipv4:{','.join(proxy.address for proxy in proxies)}"


def _credentials(files: CertificateFiles) -> ClientCredentials:
    return ClientCredentials(files.ca_file, files.certificate_file, files.key_file)
