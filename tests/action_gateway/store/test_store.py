"""The store on a real PostgreSQL, and on one that swallows everything."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.servers.postgres import Database

from action_gateway.errors import UnavailableError, UsernameTakenError
from action_gateway.store.attempts import Attempt
from action_gateway.store.store import Store, User
from service_runtime.postgres.pool import PoolSettings

LATER = datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture
async def store(database: Database) -> AsyncIterator[Store]:
    async with Store.open(PoolSettings(database.gateway_runtime_dsn)) as store:
        yield store


async def test_usernames_are_returned_and_unknown_users_left_out(store: Store) -> None:
    users = [User(str(uuid.uuid4()), f"user-{n}") for n in range(3)]
    for user in users:
        await store.add_account(user, "")
    wanted = [users[0].user_id, users[2].user_id, "somebody@another-service", str(uuid.uuid4())]

    assert await store.get_usernames(wanted) == {
        users[0].user_id: "user-0",
        users[2].user_id: "user-2",
    }
    assert await store.get_usernames([]) == {}


async def test_an_account_is_found_whatever_the_letter_case(store: Store) -> None:
    user = User("u1", "Ada.L")
    await store.add_account(user, "hash")
    found = await store.find_account("aDA.l")

    assert found is not None
    assert (found.user, found.password_hash) == (user, "hash")
    assert await store.find_account("ada_l") is None
    with pytest.raises(UsernameTakenError):
        await store.add_account(User("u2", "ADA.L"), "hash")


async def test_a_hash_is_replaced_only_if_it_is_still_the_one_that_was_read(store: Store) -> None:
    await store.add_account(User("u1", "ada"), "first")
    await store.replace_password_hash("u1", outdated_hash="other", password_hash="wrong")
    await store.replace_password_hash("u1", outdated_hash="first", password_hash="second")
    found = await store.find_account("ada")

    assert found is not None
    assert found.password_hash == "second"
    assert "second" not in repr(found)


async def test_attempts_are_counted_up_to_what_is_allowed(store: Store) -> None:
    nonce = uuid.uuid4()
    attempts = [
        await store.reserve_attempt(nonce, user_id="u1", right=False, allowed=3, expires_at=LATER)
        for _ in range(5)
    ]

    assert [attempt and attempt.number for attempt in attempts] == [1, 2, 3, None, None]
    assert await store.reserve_attempt(nonce, user_id="u1", right=True, allowed=3, expires_at=LATER) is None
    assert not await store.is_solved(nonce)


async def test_concurrent_attempts_do_not_exceed_the_limit(store: Store) -> None:
    nonce = uuid.uuid4()
    attempts = await asyncio.gather(
        *(
            store.reserve_attempt(nonce, user_id="u1", right=False, allowed=3, expires_at=LATER)
            for _ in range(20)
        )
    )

    assert sorted(attempt.number for attempt in attempts if attempt) == [1, 2, 3]


async def test_concurrent_attempts_with_many_tokens_are_counted_apart(store: Store) -> None:
    nonces = [uuid.uuid4() for _ in range(300)]
    asked = [(nonce, number == 2) for number in range(3) for nonce in nonces]
    attempts = await asyncio.gather(
        *(
            store.reserve_attempt(nonce, user_id="u1", right=right, allowed=2, expires_at=LATER)
            for nonce, right in asked
        )
    )

    for (_, right), attempt in zip(asked, attempts, strict=True):
        # The third one has no attempt left.
        assert right == (attempt is None)
    assert [attempt.number for attempt in attempts if attempt] == [1] * 300 + [2] * 300
    assert not any([await store.is_solved(nonce) for nonce in nonces[:3]])


async def test_an_attempt_that_is_given_up_costs_no_other_one(store: Store) -> None:
    def attempt(nonce: uuid.UUID) -> "asyncio.Task[Attempt | None]":
        counting = store.reserve_attempt(nonce, user_id="u1", right=True, allowed=2, expires_at=LATER)
        return asyncio.create_task(counting)

    first, given_up, last = (attempt(uuid.uuid4()) for _ in range(3))
    await asyncio.sleep(0)  # All of them wait.
    given_up.cancel()

    assert await first == await last == Attempt(1, 1)
    assert given_up.cancelled()


async def test_a_token_that_was_answered_rightly_is_never_spent(store: Store) -> None:
    nonce = uuid.uuid4()
    assert not await store.is_solved(nonce)
    first = await store.reserve_attempt(nonce, user_id="u1", right=True, allowed=1, expires_at=LATER)
    second = await store.reserve_attempt(nonce, user_id="u1", right=True, allowed=1, expires_at=LATER)
    third = await store.reserve_attempt(nonce, user_id="u1", right=False, allowed=1, expires_at=LATER)

    assert [(one.number, one.solved_by) for one in (first, second, third) if one] == [
        (1, 1),
        (2, 1),
        (3, 1),
    ]
    assert await store.is_solved(nonce)


async def test_a_session_that_ends_while_it_is_rotated_is_over(store: Store, database: Database) -> None:
    await store.add_account(User("u1", "ada"), "")
    await store.add_session("u1", token_hash=b"first", expires_at=LATER)
    with psycopg.connect(database.gateway_runtime_dsn) as connection:
        connection.execute("DELETE FROM gateway.session")
        rotating = asyncio.create_task(
            store.rotate_session(
                token_hash=b"first",
                successor_hash=b"second",
                successor_salt=b"",
                key_hash=None,
                now=datetime.now(UTC),
                expires_at=LATER,
            )
        )
        await asyncio.sleep(0.1)
        connection.commit()

    assert await rotating is None
    assert await store.find_rotation(b"first") is None


async def test_no_statement_waits_for_ever_on_a_network_that_drops_everything(
    database: Database, start_proxy: Callable[[str], Awaitable[Proxy]]
) -> None:
    dsn = conninfo_to_dict(database.gateway_runtime_dsn)
    proxy = await start_proxy(f"{dsn['host']}:{dsn['port']}")
    async with Store.open(
        PoolSettings(make_conninfo(database.gateway_runtime_dsn, port=proxy.port))
    ) as store:
        assert await store.list_actions() == []
        proxy.hold()
        began = time.monotonic()
        with pytest.raises(UnavailableError):
            await store.list_actions()
        waited = time.monotonic() - began
        proxy.reset()
        proxy.release()

        # Not a measurement: without a bound of our own this takes minutes.
        assert waited < 20
        assert await store.list_actions() == []


async def test_a_connection_that_broke_while_it_was_idle_is_not_used(
    store: Store, database: Database
) -> None:
    assert await store.list_actions() == []
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename = 'gateway_runtime'"
        )

    assert await store.list_actions() == []


async def test_statements_need_not_be_prepared(database: Database) -> None:
    async with Store.open(
        PoolSettings(database.gateway_runtime_dsn, prepare_threshold=None, connections_max=1)
    ) as store:
        for _ in range(10):
            await store.list_actions()
        async with store._database.connection() as connection:
            cursor = await connection.execute("SELECT count(*) AS n FROM pg_prepared_statements")
            assert await cursor.fetchone() == {"n": 0}
