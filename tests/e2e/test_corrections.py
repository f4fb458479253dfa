"""Corrections by separate processes, of which one is killed: each is made once, whichever is asked again."""

import asyncio
import uuid

import psycopg
from tests.fixtures.ledgers.record import award
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.stack import Stack, target_of

from score_client import ReversalResult, ScoreClient, Visibility

USERS = 40


def count_reversals(database: Database) -> int:
    with psycopg.connect(database.admin_dsn) as connection:
        (row,) = connection.execute("SELECT count(*) FROM score.reversal").fetchall()
        return int(row[0])


async def reverse(client: ScoreClient, award_id: uuid.UUID, reversal_id: uuid.UUID) -> ReversalResult:
    return await client.reverse_award(
        board_id="main", award_id=award_id, reversal_id=reversal_id, reason="a leaked answer"
    )


async def test_reversals_whose_process_is_killed_are_made_once_when_another_one_is_asked_again(
    stack: Stack, database: Database
) -> None:
    first, second = [await stack.start_score_service() for _ in range(2)]
    to_take = [(uuid.uuid4(), uuid.uuid4()) for _ in range(USERS)]
    acknowledged: dict[uuid.UUID, ReversalResult] = {}
    async with stack.client(target_of(first)) as one, stack.client(target_of(second)) as two:
        for n, (award_id, _) in enumerate(to_take):
            await award(one, f"user{n}", n + 1)
            await award(one, f"user{n}", 100, award_id=award_id)

        async def caller(pairs: list[tuple[uuid.UUID, uuid.UUID]]) -> None:
            for award_id, reversal_id in pairs:
                acknowledged[award_id] = await reverse(one, award_id, reversal_id)

        async def some_are_made() -> bool:
            return await asyncio.to_thread(count_reversals, database) >= USERS // 4

        callers = [asyncio.create_task(caller(to_take[n::4])) for n in range(4)]
        await eventually(some_are_made)
        await asyncio.to_thread(first.kill)
        for task in callers:
            task.cancel()
        await asyncio.gather(*callers, return_exceptions=True)

        again = {award_id: await reverse(two, award_id, reversal_id) for award_id, reversal_id in to_take}

        assert count_reversals(database) == USERS
        for award_id, result in acknowledged.items():
            assert again[award_id].replayed
            assert again[award_id].reversal == result.reversal
        revision = max(result.reversal.revision for result in again.values())
        view = await two.list_standings(board_id="main", page_size=100, min_revision=revision)
        assert [(row.user_id, row.total) for row in view.standings] == [
            (f"user{n}", n + 1) for n in reversed(range(USERS))
        ]


async def test_a_user_hidden_through_one_process_is_hidden_in_all(stack: Stack) -> None:
    first, second = [await stack.start_score_service() for _ in range(2)]
    async with stack.client(target_of(first)) as one, stack.client(target_of(second)) as two:
        await award(one, "ada", 5)
        await award(two, "bob", 3)
        hidden = await one.set_user_visibility(
            board_id="main", user_id="ada", visibility=Visibility.HIDDEN, reason="a cheater"
        )
        seen = await two.list_standings(board_id="main", min_revision=hidden.revision)
        own = await two.get_standing(board_id="main", user_id="ada", min_revision=hidden.revision)

    assert [row.user_id for row in seen.standings] == ["bob"]
    assert (own.standing.total, own.standing.rank, own.standing.hidden) == (5, None, True)
