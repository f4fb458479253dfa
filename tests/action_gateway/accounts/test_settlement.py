"""What is done about a departure after the account is gone, until it is done."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from tests.fixtures.servers.postgres import Database

from action_gateway.accounts.accounts import DeletionRules
from action_gateway.accounts.settlement import Settlement
from action_gateway.actions.catalog import CatalogAction, replace_actions
from action_gateway.domain.action import Repeat
from action_gateway.store.store import Store, User
from score_client.errors import StandingNotFoundError, UnavailableError
from score_client.types import Visibility, VisibilityResult
from service_runtime.postgres.pool import PoolSettings

NOW = datetime.now(UTC)
LATER = NOW + timedelta(hours=1)
AT_ONCE = timedelta(0)


class Boards:
    """Boards on which users are hidden, of which some fail."""

    def __init__(self) -> None:
        self.hidden: list[tuple[str, str]] = []
        self.fails = False

    async def set_user_visibility(
        self, *, board_id: str, user_id: str, visibility: Visibility, reason: str
    ) -> VisibilityResult:
        assert visibility is Visibility.HIDDEN
        assert reason == "The account was deleted."
        if self.fails and board_id == "other":
            raise UnavailableError("UNAVAILABLE", "unavailable")
        self.hidden.append((board_id, user_id))
        if board_id == "other":
            raise StandingNotFoundError("STANDING_NOT_FOUND", "no award")
        return VisibilityResult(visibility=visibility, before=Visibility.VISIBLE, revision=1, position="")


@pytest.fixture
async def store(database: Database) -> AsyncIterator[Store]:
    action = CatalogAction(
        action_id="a",
        title="A",
        prompt="?",
        answer="1",
        points=1,
        repeat=Repeat.ONCE,
        min_seconds=0,
        board_id="other",
    )
    replace_actions(database.gateway_owner_dsn, None, [action])
    async with Store.open(PoolSettings(database.gateway_runtime_dsn)) as store:
        yield store


def rules(*, hides: bool, settled_after: timedelta = AT_ONCE) -> DeletionRules:
    return DeletionRules(hides=hides, settled_after=settled_after)


async def leave(store: Store, user_id: str, rules: DeletionRules) -> None:
    await store.add_account(User(user_id, user_id), "")
    assert await store.departures.delete_account(
        user_id, name_hash=None, free_at=LATER, hides=rules.hides, settled_after=rules.settled_after
    )


def left(database: Database) -> list[tuple[object, ...]]:
    """Read what is left to be done: who, and whether the time of the departure is known still."""
    with psycopg.connect(database.gateway_owner_dsn) as connection:
        return connection.execute(
            "SELECT user_id, departed_at IS NOT NULL, next_try_at IS NOT NULL FROM gateway.departure"
        ).fetchall()


async def test_a_user_is_hidden_on_every_board(store: Store, database: Database) -> None:
    boards, rule = Boards(), rules(hides=True)
    await leave(store, "ada", rule)
    settlement = Settlement(store, boards, rule, board_id="main")

    assert await settlement.settle_some() == 1
    assert boards.hidden == [("main", "ada"), ("other", "ada")]
    assert left(database) == [("ada", False, False)]
    assert await settlement.settle_some() == 0


async def test_a_user_who_stays_shown_is_not_hidden(store: Store, database: Database) -> None:
    boards, rule = Boards(), rules(hides=False)
    await leave(store, "ada", rule)
    await Settlement(store, boards, rule, board_id="main").settle_some()

    assert boards.hidden == []
    assert left(database) == [("ada", False, False)]


async def test_what_has_failed_is_tried_again(store: Store, database: Database) -> None:
    boards, rule = Boards(), rules(hides=True)
    boards.fails = True
    await leave(store, "ada", rule)
    settlement = Settlement(store, boards, rule, board_id="main", retry_after=AT_ONCE)
    assert await settlement.settle_some() == 1
    assert left(database) == [("ada", True, True)]
    boards.fails = False

    assert await settlement.settle_some() == 1
    assert ("other", "ada") in boards.hidden
    assert left(database) == [("ada", False, False)]


async def test_nobody_else_does_what_one_process_is_doing(store: Store) -> None:
    boards, rule = Boards(), rules(hides=True)
    await leave(store, "ada", rule)
    boards.fails = True
    first, second = [Settlement(store, boards, rule, board_id="main") for _ in range(2)]

    assert await first.settle_some() == 1
    assert await second.settle_some() == 0


async def test_a_user_is_hidden_once_more_when_nothing_can_be_under_way(
    store: Store, database: Database
) -> None:
    boards, rule = Boards(), rules(hides=True, settled_after=timedelta(hours=1))
    await leave(store, "ada", rule)
    settlement = Settlement(store, boards, rule, board_id="main")
    await settlement.settle_some()
    assert boards.hidden == [("main", "ada"), ("other", "ada")]
    assert left(database) == [("ada", True, True)]
    assert await settlement.settle_some() == 0
    with psycopg.connect(database.gateway_owner_dsn, autocommit=True) as connection:
        connection.execute(
            "UPDATE gateway.departure SET departed_at = now() - interval '2 hours', next_try_at = now()"
        )

    await settlement.settle_some()
    assert boards.hidden == [("main", "ada"), ("other", "ada")] * 2
    assert left(database) == [("ada", False, False)]


async def test_an_attempt_that_was_under_way_goes_in_the_end(store: Store, database: Database) -> None:
    rule = rules(hides=False)
    await leave(store, "ada", rule)
    with psycopg.connect(database.gateway_owner_dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO gateway.action_token (nonce, user_id, attempts, expires_at)"
            " VALUES (%s, 'ada', 1, now())",
            (uuid.uuid4(),),
        )
    await Settlement(store, Boards(), rule, board_id="main").settle_some()

    with psycopg.connect(database.gateway_owner_dsn) as connection:
        assert connection.execute("SELECT count(*) FROM gateway.action_token").fetchone() == (0,)
