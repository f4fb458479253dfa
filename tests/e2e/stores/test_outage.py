"""Reads and watches through an outage of Redis, which dies and restarts empty."""

import asyncio
import uuid
from dataclasses import dataclass, field

from tests.fixtures.servers.mortal_valkey import MortalValkey
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.stack import Stack, target_of

from score_client import AwardResult, ScoreClient, Snapshot, Source, Update

BOARD = "main"


@dataclass(slots=True)
class Seen:
    """What the events of a watch add up to."""

    top: list[tuple[str, int]] = field(default_factory=list)
    totals: dict[str, int] = field(default_factory=dict)
    revisions: list[int] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    resets: int = 0

    async def follow(self, client: ScoreClient) -> None:
        async for event in client.watch(board_id=BOARD, top_n=5, all_scores=True):
            self.revisions.append(event.revision)
            self.sources.append(event.source)
            if isinstance(event, Snapshot):
                self.resets += event.reset
            if isinstance(event, Update):
                self.totals |= {standing.user_id: standing.total for standing in event.scores}
            if isinstance(event, Snapshot) or (isinstance(event, Update) and event.top is not None):
                self.top = [(standing.user_id, standing.total) for standing in event.top or ()]

    async def reach(self, revision: int, source: Source) -> None:
        async def is_there() -> bool:
            return bool(self.revisions) and (self.revisions[-1], self.sources[-1]) == (revision, source)

        await eventually(is_there)


async def award(client: ScoreClient, user_id: str, points: int) -> AwardResult:
    return await client.award(
        board_id=BOARD,
        user_id=user_id,
        points=points,
        action_type="quest",
        action_id="quest_1",
        award_id=uuid.uuid4(),
        timeout=30,
    )


async def test_reads_and_watches_go_on_while_redis_is_dead_and_return_to_it(
    stack: Stack, mortal_valkey: MortalValkey
) -> None:
    await mortal_valkey.start()
    service = await stack.start_score_service(
        redis_url=mortal_valkey.url, SCORE_SERVICE_REDIS_PASSWORD_FILE=mortal_valkey.password_file
    )
    async with stack.client(target_of(service)) as client, asyncio.TaskGroup() as watching:
        for number in range(5):
            await award(client, f"user{number}", 10 + number)
        early, late = Seen(), Seen()
        tasks = [watching.create_task(early.follow(client))]
        await early.reach(5, Source.CACHE)

        await mortal_valkey.kill()
        made = await award(client, "user0", 100)
        tasks.append(watching.create_task(late.follow(client)))
        await early.reach(6, Source.RECORD)
        await late.reach(6, Source.RECORD)
        top = await client.list_standings(board_id=BOARD, page_size=2, min_revision=made.revision)
        own = await client.get_standing(board_id=BOARD, user_id="user0", min_revision=made.revision)
        around = await client.list_standings_around(board_id=BOARD, user_id="user2", radius=1)

        await mortal_valkey.start()
        await award(client, "user1", 50)
        for seen in (early, late):
            await seen.reach(7, Source.CACHE)
        for task in tasks:
            task.cancel()

    assert made.rank is None
    assert [(s.user_id, s.total, s.rank) for s in top.standings] == [("user0", 110, 1), ("user4", 14, 2)]
    assert (top.source, top.position) == (Source.RECORD, made.position)
    assert (own.standing.rank, own.source) == (1, Source.RECORD)
    assert [s.user_id for s in around.standings] == ["user3", "user2", "user1"]
    for seen in (early, late):
        assert seen.top == [("user0", 110), ("user1", 61), ("user4", 14), ("user3", 13), ("user2", 12)]
        assert seen.revisions == sorted(seen.revisions)
        assert seen.resets == 0
    assert early.totals == {"user0": 110, "user1": 61}
