"""The client for Node: each file of its tests, against a real score service or a scripted one."""

from pathlib import Path

import pytest
from tests.clients.node.conftest import CLIENT, RunTests, proxy_actions, server_actions
from tests.fixtures.network.proxy import Proxy

from conformance.server.scripted import ScriptedServer


def _files(folder: str) -> list[pytest.param]:  # type: ignore[valid-type]
    return [pytest.param(path, id=path.stem) for path in sorted((CLIENT / "test" / folder).glob("*.test.ts"))]


@pytest.mark.parametrize("file", _files("service"))
async def test_with_a_real_service_behind_a_fault_proxy(
    file: Path, run_tests: RunTests, proxy: Proxy
) -> None:
    await run_tests(file, proxy_actions(proxy), {"LAUREL_TARGET": f"dns:///localhost:{proxy.port}"})


@pytest.mark.parametrize("file", _files("scripted"))
async def test_with_scripted_servers(file: Path, run_tests: RunTests, servers: list[ScriptedServer]) -> None:
    addresses = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    variables = {
        "LAUREL_TARGET": f"dns:///localhost:{servers[0].port}",
        "LAUREL_TARGETS": f"ipv4:{addresses}",
    }
    await run_tests(file, server_actions(servers), variables)
