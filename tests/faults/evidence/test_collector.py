"""What is read after a run, from servers that run for it alone."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from faults.evidence import collector
from faults.evidence.collector import read_epochs
from faults.model.history import History, Restore
from faults.model.ledger import Record
from local_stack.servers.postgres import PostgresCluster


@pytest.fixture
def former(tmp_path: Path) -> PostgresCluster:
    """Return data on which no server runs any more."""
    data = PostgresCluster(tmp_path / "former", tmp_path / "postgres.log", durable=False)
    data.start().stop()
    return data


@pytest.fixture
def cluster(former: PostgresCluster) -> Any:
    """Return a stack, of which only its database is asked for."""
    password = (former.folder / "superuser-password").read_text(encoding="ascii")
    dsn = make_conninfo(host="127.0.0.1", user="postgres", password=password, dbname="postgres")
    return SimpleNamespace(
        postgres=SimpleNamespace(cluster=former),
        admin_dsn=lambda: "live",
        ledgers=former.folder / "ledgers",
        former_dsn=lambda port: make_conninfo(dsn, port=port),
    )


async def test_the_stack_goes_on_while_former_records_are_read(
    cluster: Any, former: PostgresCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, read = asyncio.get_running_loop(), list[str]()

    def read_while_the_loop_goes_on(dsn: str, epochs: Sequence[Record], _: Path) -> Record:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(20)
        if dsn != "live":
            psycopg.connect(dsn).close()
        read.append(dsn)
        return {str(len(epochs)): epochs[0]["0"]} if epochs else {"0": SimpleNamespace()}  # type: ignore[dict-item]

    monkeypatch.setattr(collector, "read_record", read_while_the_loop_goes_on)
    history = History([Restore(began=1.0, ended=2.0, former=str(former.folder))])

    epochs = await read_epochs(cluster, history)

    assert [[*record] for record in epochs] == [["0"], ["1"]]
    assert read[1:] == ["live"]
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(read[0])
