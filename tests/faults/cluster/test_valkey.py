"""Two Valkeys of which one takes over, loses its file, or goes back to an older one."""

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import redis.asyncio
from tests.fixtures.servers.stores import eventually

from faults.cluster.valkey import Valkey, ValkeyPair
from faults.network.proxy import Proxy
from local_stack.servers.ports import free_port
from local_stack.servers.valkey import ValkeyFolder


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[ValkeyPair]:
    password = uuid.uuid4().hex
    async with AsyncExitStack() as stack:
        valkeys = []
        for name in ("valkey-1", "valkey-2"):
            valkey = Valkey(
                name, ValkeyFolder(tmp_path / name, tmp_path / f"{name}.log"), free_port(), password
            )
            valkey.start()
            stack.callback(valkey.end)
            await valkey.until_ready()
            valkeys.append(valkey)
        link = Proxy(valkeys[0].address)
        await link.start()
        stack.push_async_callback(link.stop)
        pair = ValkeyPair(valkeys[0], valkeys[1], link)
        await pair.follow()
        yield pair


async def read(valkey: Valkey) -> object:
    async with redis.asyncio.Redis.from_url(valkey.url, decode_responses=True) as client:
        return await client.get("key")


async def becomes(valkey: Valkey, value: str | None) -> None:
    async def is_so() -> bool:
        return await read(valkey) == value

    await eventually(is_so)


async def test_it_restarts_with_what_it_had(pair: ValkeyPair) -> None:
    await pair.primary.command("SET", "key", "one")
    await pair.primary.kill()
    assert not pair.primary.looks_ready()
    await pair.primary.restart()
    await pair.primary.until_ready()
    assert await read(pair.primary) == "one"


async def test_without_its_file_it_restarts_empty_and_so_does_its_replica(pair: ValkeyPair) -> None:
    await pair.primary.command("SET", "key", "one")
    await becomes(pair.replica, "one")
    await pair.primary.kill()
    pair.primary.put_back(None)
    await pair.primary.restart()
    await pair.primary.until_ready()
    assert await read(pair.primary) is None
    await becomes(pair.replica, None)


async def test_it_goes_back_to_a_copy_of_its_file(pair: ValkeyPair, tmp_path: Path) -> None:
    await pair.primary.command("SET", "key", "one")
    await eventually_copied(pair.primary, tmp_path / "copy", b"one")
    await pair.primary.command("SET", "key", "two")
    await pair.primary.kill()
    pair.primary.put_back(tmp_path / "copy")
    await pair.primary.restart()
    await pair.primary.until_ready()
    assert await read(pair.primary) == "one"


async def eventually_copied(valkey: Valkey, copy: Path, text: bytes) -> None:
    async def is_there() -> bool:
        folder = copy.with_name(f"copy-{uuid.uuid4()}")
        valkey.copy_file(folder)
        found = any(text in path.read_bytes() for path in folder.iterdir())
        if found:
            folder.rename(copy)
        return found

    await eventually(is_there)


async def test_a_replica_that_lags_takes_over_without_what_it_did_not_receive(pair: ValkeyPair) -> None:
    first, second = pair.primary, pair.replica
    user = Proxy(first.address)
    await pair.primary.command("SET", "key", "one")
    await becomes(second, "one")
    pair.link.hold()
    await pair.primary.command("SET", "key", "two")
    await pair.fail_over([user])
    pair.link.release()
    assert (pair.primary, pair.replica) == (second, first)
    assert user.upstream == second.address
    assert await read(second) == "one"
    await becomes(first, "one")
    await second.command("SET", "key", "three")
    await becomes(first, "three")
