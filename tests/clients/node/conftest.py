"""Node's test runner on one file of the client's tests, with what the file needs in its environment."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from google.protobuf.json_format import MessageToDict
from tests.clients.node.control import Action, Control
from tests.clients.node.steps import read_step
from tests.fixtures.certificates import BACKEND_ID
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.services.score_service import ScoreService

from conformance.server.scripted import Received, ScriptedServer
from local_stack.certificates import CertificateAuthority, CertificateFiles

ROOT = Path(__file__).parents[3]
CLIENT = ROOT / "clients/node"
NODE = ROOT / ".venv/bin/node"
NPM = NODE.resolve().parents[1] / "lib/node_modules/npm/bin/npm-cli.js"
SECONDS = 200
"""For one file of tests, on a very busy machine."""

RunTests: TypeAlias = Callable[[Path, Mapping[str, Action], Mapping[str, str]], Awaitable[None]]


@pytest.fixture(scope="session")
def built_client() -> Path:
    """Return the folder of the client, which `make test` has built."""
    missing = [path for path in (NODE, CLIENT / "dist/index.js") if not path.exists()]
    if missing:
        pytest.fail(f"{missing[0].relative_to(ROOT)} is missing: make it with make test", pytrace=False)
    return CLIENT


@pytest.fixture(scope="session")
def renewed_certificate(authority: CertificateAuthority) -> CertificateFiles:
    """Return another certificate of the sample backend's identity."""
    return authority.issue("sample-backend-renewed", uris=[BACKEND_ID])


@pytest.fixture
def certificate_variables(
    backend_certificate: CertificateFiles,
    gateway_certificate: CertificateFiles,
    renewed_certificate: CertificateFiles,
    reader_certificate: CertificateFiles,
    metered_certificate: CertificateFiles,
    stranger_certificate: CertificateFiles,
    foreign_authority: CertificateAuthority,
) -> dict[str, str]:
    """Return where certificates lie, for the environment of Node."""
    certificates = {
        "backend": backend_certificate,
        "gateway": gateway_certificate,
        "renewed": renewed_certificate,
        "reader": reader_certificate,
        "metered": metered_certificate,
        "stranger": stranger_certificate,
        "foreign": foreign_authority.issue("sample-backend", uris=[BACKEND_ID]),
    }
    return {
        f"LAUREL_{name.upper()}": f"{files.ca_file}:{files.certificate_file}:{files.key_file}"
        for name, files in certificates.items()
    }


@pytest.fixture
def run_tests(built_client: Path, certificate_variables: dict[str, str]) -> RunTests:
    """Return a function that runs a file of tests, and fails with what Node says if one fails."""

    async def run(file: Path, actions: Mapping[str, Action], variables: Mapping[str, str]) -> None:
        async with Control(actions) as control:
            told = {"LAUREL_CONTROL": str(control.port), **certificate_variables, **variables}
            process = await asyncio.create_subprocess_exec(
                NODE,
                "--test",
                "--test-reporter=tap",
                "--throw-deprecation",
                file,
                cwd=built_client,
                env={"PATH": os.environ["PATH"], **told},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            try:
                async with asyncio.timeout(SECONDS):
                    output, _ = await process.communicate()
            except BaseException:
                process.kill()
                await process.wait()
                raise
        report = output.decode()
        if process.returncode or "\n# pass 0\n" in report:
            pytest.fail(report, pytrace=False)

    return run


@pytest.fixture
async def proxy(
    score_service: ScoreService, start_proxy: Callable[[str], Awaitable[Proxy]]
) -> AsyncIterator[Proxy]:
    """Return a fault proxy before a real service."""
    proxy = await start_proxy(f"127.0.0.1:{score_service.running.grpc_address.port}")
    yield proxy
    proxy.release()


def proxy_actions(proxy: Proxy) -> dict[str, Action]:
    """Return what can go wrong between the client and the service."""

    async def call(name: str, **arguments: Any) -> None:
        await asyncio.sleep(0)
        getattr(proxy, name)(**arguments)

    async def connections() -> int:
        await asyncio.sleep(0)
        return proxy.connections

    return {"proxy": call, "connections": connections}


@pytest.fixture
async def servers(server_certificate: CertificateFiles) -> AsyncIterator[list[ScriptedServer]]:
    """Return two running servers without a script."""
    async with ScriptedServer(server_certificate) as first, ScriptedServer(server_certificate) as second:
        yield [first, second]


def server_actions(servers: list[ScriptedServer]) -> dict[str, Action]:
    """Return what can be asked of scripted servers; the first one if none is named."""

    async def script(method: str, steps: list[dict[str, Any]], server: int = 0) -> None:
        await asyncio.sleep(0)
        servers[server].script(method, *(read_step(method, step) for step in steps))

    async def calls(method: str, count: int = 0, server: int = 0) -> list[dict[str, Any]]:
        return [_told(call) for call in await servers[server].wait_for_calls(method, count)]

    async def forget(server: int = 0) -> None:
        await asyncio.sleep(0)
        servers[server].received.clear()

    async def healthy(*, healthy: bool, server: int = 0) -> None:
        await servers[server].set_healthy(healthy=healthy)

    async def stop(server: int = 0) -> None:
        await servers[server].stop()

    async def start(server: int = 0) -> None:
        await servers[server].start()

    return {
        "script": script,
        "calls": calls,
        "forget": forget,
        "healthy": healthy,
        "stop": stop,
        "start": start,
    }


def _told(call: Received) -> dict[str, Any]:
    return {
        "request": MessageToDict(call.request),
        "metadata": {name: value for name, value in call.metadata.items() if isinstance(value, str)},
        "identity": call.identity,
        "peer": call.peer,
        "secondsLeft": call.seconds_left,
    }
