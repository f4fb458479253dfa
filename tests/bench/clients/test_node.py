"""The row of the client for Node."""

from pathlib import Path

from bench.clients.node import find_lack


def test_it_lacks_what_was_not_made(tmp_path: Path) -> None:
    needed = [tmp_path / ".venv/node.stamp", tmp_path / "clients/node/dist/index.js"]
    for path in needed:
        assert "make .venv/node.stamp clients/node/dist/index.js" in find_lack(tmp_path)
        path.parent.mkdir(parents=True)
        path.touch()
    assert find_lack(tmp_path) == ""
