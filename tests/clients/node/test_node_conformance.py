"""The client for Node, as the conformance kit judges it."""

from pathlib import Path

from tests.clients.node.conftest import NODE
from tests.fixtures.clients.conformance import judge_at_once, list_faults


async def test_the_node_client_keeps_all_rules(built_client: Path) -> None:
    command = (str(NODE), "--throw-deprecation", str(built_client / "conformance/adapter.ts"))
    assert list_faults(await judge_at_once(command)) == []
