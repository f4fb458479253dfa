"""What is forgotten, and what is not yet."""

import uuid
from datetime import UTC, datetime, timedelta

import psycopg
from tests.fixtures.servers.postgres import Database

from action_gateway.process import cleanup
from action_gateway.process.cleanup import delete_expired
from action_gateway.store.store import Store, User
from action_gateway.store.suspicions import Noted
from service_runtime.postgres.pool import PoolSettings

NOW = datetime.now(UTC)
MONTH = timedelta(days=30)


async def add_session(store: Store, token: bytes, expires_at: datetime) -> None:
    """Add a user with a session."""
    user = User(str(uuid.uuid4()), uuid.uuid4().hex)
    await store.add_account(user, "")
    await store.add_session(user.user_id, token_hash=token, expires_at=expires_at)


async def rotate(store: Store, token: bytes, successor: bytes, now: datetime) -> None:
    """Rotate a session to its next token."""
    await store.rotate_session(
        token_hash=token,
        successor_hash=successor,
        successor_salt=b"salt",
        key_hash=None,
        now=now,
        expires_at=NOW + MONTH,
    )


async def leave(store: Store, name: str, free_at: datetime) -> None:
    await store.add_account(User(name, name), "")
    await store.departures.delete_account(
        name, name_hash=name.encode(), free_at=free_at, hides=False, settled_after=MONTH
    )


async def test_expired_rows_are_deleted_and_others_kept(database: Database) -> None:
    async with Store.open(PoolSettings(database.gateway_runtime_dsn)) as store:
        await add_session(store, b"expired", NOW - timedelta(seconds=1))
        await add_session(store, b"good", NOW + timedelta(seconds=1))
        await rotate(store, b"good", b"better", NOW - MONTH - timedelta(seconds=1))
        await rotate(store, b"better", b"best", NOW - MONTH + timedelta(seconds=1))
        for age in (timedelta(hours=25), timedelta(hours=23)):
            await store.reserve_attempt(
                uuid.uuid4(), user_id="u1", right=False, allowed=5, expires_at=NOW - age
            )
        await leave(store, "kept", NOW + timedelta(seconds=1))
        await leave(store, "free", NOW - timedelta(seconds=1))
        await store.add_account(User("u1", "ada"), "")
        for signal, age in (("old", timedelta(days=31)), ("new", timedelta(days=29))):
            await store.suspicions.add([Noted("u1", signal, NOW - age, NOW - age, 1)])
        deleted = await delete_expired(store, NOW, refresh_lifetime=MONTH)

        assert [one.signal for one in await store.suspicions.list(limit=9)] == ["new"]
        assert deleted == {
            "sessions": 1,
            "retired_tokens": 1,
            "action_tokens": 1,
            "freed_names": 1,
            "suspicions": 1,
        }
        assert await store.find_rotation(b"good") is None
        assert await store.find_rotation(b"better") is not None
        assert sum((await delete_expired(store, NOW, refresh_lifetime=MONTH)).values()) == 0


async def test_a_deleted_session_deletes_its_retired_tokens(database: Database) -> None:
    async with Store.open(PoolSettings(database.gateway_runtime_dsn)) as store:
        await add_session(store, b"first", NOW + MONTH)
        await rotate(store, b"first", b"second", NOW)
        await delete_expired(store, NOW + 2 * MONTH, refresh_lifetime=10 * MONTH)

        assert await store.find_rotation(b"first") is None


async def test_more_than_a_batch_is_deleted_batch_by_batch(database: Database) -> None:
    with psycopg.connect(database.gateway_owner_dsn) as connection:
        connection.execute(
            "INSERT INTO gateway.action_token (nonce, attempts, expires_at)"
            " SELECT gen_random_uuid(), 1, now() - interval '2 days' FROM generate_series(1, 1201)"
        )
    async with Store.open(PoolSettings(database.gateway_runtime_dsn)) as store:
        deleted = await delete_expired(store, NOW, refresh_lifetime=MONTH)

    assert deleted["action_tokens"] == 1201 > 2 * cleanup._BATCH
