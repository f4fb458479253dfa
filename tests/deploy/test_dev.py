"""The overlay for development comes up as it is: here with processes in the place of pods."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.deploy.mounted import Contents, Mounted, mount, read_secret
from tests.deploy.rendering import DEPLOY, Manifests
from tests.fixtures.clients.browser import edge, join
from tests.fixtures.programs import find_program
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.processes import Processes, RunningService
from tests.fixtures.services.stack import is_ready

from local_stack.certificates import CertificateAuthority
from local_stack.provision import create_database
from local_stack.servers import valkey
from local_stack.servers.account import Account
from local_stack.servers.binding import bind_command
from local_stack.servers.child import Child
from local_stack.servers.ports import HOST, start_on_free_port
from local_stack.servers.postgres import PostgresCluster, PostgresServer
from local_stack.signing_keys import ensure_signing_key

_LOCAL_STACK = DEPLOY.parent / "src" / "local_stack"


@pytest.mark.parametrize("name", ["provision.sql", "actions.toml"])
def test_what_the_local_stack_has_too_is_the_same(name: str) -> None:
    # Kustomize reads no file outside of its folder, and `deploy` must do without the sources.
    assert (DEPLOY / "overlays" / "dev" / name).read_bytes() == (_LOCAL_STACK / name).read_bytes()


@dataclass(frozen=True, slots=True)
class Cluster:
    """Stands in for a cluster: its stores are real, its addresses are those of this machine."""

    dev: Manifests
    folder: Path
    authority: CertificateAuthority
    postgresql: PostgresServer
    valkey_port: int

    def mount(self, name: str) -> Mounted:
        """Give the files and the environment of a pod."""
        return mount(self.dev, self.dev.pod(name), self.folder / name, self._issue)

    def run(self, name: str) -> None:
        """Run a Job to its end."""
        package, *arguments = self._command(name)
        subprocess.run(
            [sys.executable, "-m", package, *arguments],
            env=os.environ | self._environment(name),
            capture_output=True,
            check=True,
        )

    def start(self, name: str, processes: Processes, **changes: str) -> RunningService:
        """Start the server of a Deployment."""
        package, *arguments = self._command(name)
        return processes.start(package, *arguments, env=self._environment(name) | changes)

    def _command(self, name: str) -> list[str]:
        package, *arguments = self.dev.pod(name).containers[0]["command"]
        root = str(self.folder / name)
        return [package.replace("-", "_"), *(root + word if word[0] == "/" else word for word in arguments)]

    def _environment(self, name: str) -> dict[str, str]:
        here = {"PGHOST": HOST, "PGPORT": str(self.postgresql.port)}
        found = self.mount(name).environment | here
        for variable, value in found.items():
            if variable.endswith("LISTEN"):
                found[variable] = f"{HOST}:0"
            elif variable.endswith("REDIS_URL"):
                found[variable] = value.replace("valkey:6379", f"{HOST}:{self.valkey_port}")
        return found

    def _issue(self, secret: str) -> Contents:
        """Do what cert-manager would."""
        (spec,) = (
            certificate["spec"]
            for certificate in self.dev.of("Certificate")
            if certificate["spec"]["secretName"] == secret
        )
        if spec["privateKey"]["algorithm"] == "Ed25519":
            ensure_signing_key(self.folder / secret, datetime.now(UTC))
            (key,) = (self.folder / secret).glob("*.pem")
            return {"tls.key": key.read_text(encoding="ascii")}
        files = self.authority.issue(secret, dns=spec.get("dnsNames", ()), uris=spec["uris"])
        return {
            "tls.crt": files.certificate_file.read_text(encoding="ascii"),
            "tls.key": files.key_file.read_text(encoding="ascii"),
            "ca.crt": files.ca_file.read_text(encoding="ascii"),
        }


def _nothing(secret: str) -> Contents:
    pytest.fail(f"the overlay does not have the Secret {secret}")


@pytest.fixture
def new_postgresql(tmp_path: Path) -> Iterator[PostgresServer]:
    """Start a server without any role but the superuser."""
    server = PostgresCluster(tmp_path / "data", tmp_path / "postgresql.log", durable=False).start()
    yield server
    server.stop()


@pytest.fixture
def provisioned(dev: Manifests, new_postgresql: PostgresServer, tmp_path: Path) -> PostgresServer:
    """Do what the image of PostgreSQL does when the database is new: run the scripts of the folder."""
    files = mount(dev, dev.pod("postgresql"), tmp_path / "postgresql", _nothing)
    create_database(new_postgresql.admin_url(), "laurel")
    (script,) = files.path("/docker-entrypoint-initdb.d").iterdir()
    places = {
        "PASSWORDS": files.path("/run/laurel/passwords"),
        "PROVISION": files.path("/etc/laurel/provision.sql"),
    }
    environment = os.environ | {name: str(path) for name, path in places.items()}
    psql = find_program("psql", "/usr/lib/postgresql/15/bin/psql")
    options = ["--set=ON_ERROR_STOP=1", "--no-password", "--no-psqlrc", f"--file={script}"]
    command = [psql, new_postgresql.admin_url("laurel"), *options]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return new_postgresql


@pytest.fixture
def valkey_port(dev: Manifests, tmp_path: Path) -> Iterator[int]:
    """Start Valkey with the configuration of the overlay, at a port of this machine."""
    files = mount(dev, dev.pod("valkey"), tmp_path / "valkey", _nothing)
    program, configuration = dev.pod("valkey").containers[0]["command"]
    assert program == "valkey-server"
    binary, file, folder = valkey.find_binary(), files.path(configuration), tmp_path / "valkey-data"
    account = Account.owning(folder)
    children: list[Child] = []

    def start(port: int) -> int:
        options = ["--bind", HOST, "--port", str(port), "--dir", str(folder)]
        command = bind_command([binary, file, *options], account=account, paths=[binary, file])
        children.append(Child.start("Valkey", command, tmp_path / "valkey.log"))
        return port

    yield start_on_free_port(start)
    for child in children:
        child.stop()


@pytest.fixture
def cluster(
    dev: Manifests,
    tmp_path: Path,
    authority: CertificateAuthority,
    provisioned: PostgresServer,
    valkey_port: int,
) -> Cluster:
    return Cluster(dev, tmp_path, authority, provisioned, valkey_port)


async def test_it_comes_up_in_any_order_and_pays_a_player(cluster: Cluster, processes: Processes) -> None:
    score = await asyncio.to_thread(cluster.start, "score-service", processes)
    target = cluster.mount("action-gateway").environment["ACTION_GATEWAY_SCORE_TARGET"]
    here = {
        "ACTION_GATEWAY_SCORE_TARGET": f"ipv4:{score.addresses['grpc']}",
        "ACTION_GATEWAY_SCORE_SERVER_NAME": target.removeprefix("dns:///").removesuffix(":50051"),
    }
    gateway = await asyncio.to_thread(cluster.start, "action-gateway", processes, **here)

    async def the_schema_is_missed() -> bool:
        return all("permission denied for schema" in service.log() for service in (score, gateway))

    await eventually(the_schema_is_missed)
    assert not is_ready(score.addresses["admin"])
    assert not is_ready(gateway.addresses["admin"])

    for job in ("action-gateway-migration", "score-service-migration", "action-gateway-catalog"):
        await asyncio.to_thread(cluster.run, job)

    async def both_are_ready() -> bool:
        return is_ready(score.addresses["admin"]) and is_ready(gateway.addresses["admin"])

    await eventually(both_are_ready)
    async with edge(gateway.addresses["http"]) as http:
        ada = await join(http, "ada")
        token = await ada.start("puzzle_123")
        await asyncio.sleep(1.1)  # The action cannot honestly be done faster.
        done = await ada.complete(token, "ABC")
        assert (done.status_code, done.json()["newRank"]) == (200, 1), done.text


def test_both_sides_have_the_same_passwords(dev: Manifests) -> None:
    def read(name: str) -> Contents:
        return read_secret(dev.get("Secret", name))

    roles = read("postgresql")
    for service, role in (("score-service", "score"), ("action-gateway", "gateway")):
        assert read(f"{service}-database") == {"password": roles[f"{role}_runtime"]}
        assert read(f"{service}-migration") == {"password": roles[f"{role}_owner"]}
        assert f"requirepass {read(f'{service}-redis')['password']}\n" in read("valkey")["valkey.conf"]


def test_every_certificate_has_an_issuer_in_the_overlay(dev: Manifests) -> None:
    issuers = {issuer["metadata"]["name"] for issuer in dev.of("Issuer")}
    secrets = {certificate["spec"]["secretName"] for certificate in dev.of("Certificate")}
    for certificate in dev.of("Certificate"):
        assert certificate["spec"]["issuerRef"]["name"] in issuers
    for issuer in dev.of("Issuer"):
        assert issuer["spec"].get("ca", {}).get("secretName") in {None, *secrets}
