"""The stream on real stores: complete, in order, and resumable."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace

import pytest
from redis.asyncio import Redis
from tests.fixtures.stores import eventually, expected_top, make_award

from score_service.changes import Change, Changes
from score_service.errors import (
    BoardNotFoundError,
    ProjectionUnavailableError,
    ShuttingDownError,
    WatcherEvictedError,
)
from score_service.hub import Hub, Hubs, HubSettings
from score_service.ledger import Ledger
from score_service.position import Position
from score_service.projection import Projection, ProjectionSettings
from score_service.projector import Projector
from score_service.standing import Reading, Standing
from score_service.watch import Checkpoint, Snapshot, Update, WatchMessage, WatchRequest

QUICK = HubSettings(tick_seconds=0.01, poll_seconds=0.1, checkpoint_seconds=5)
EVERYTHING = WatchRequest("main", 10, all_scores=True)


class Watching:
    """A watcher that keeps what its messages add up to."""

    def __init__(self, messages: AsyncIterator[WatchMessage]) -> None:
        self._messages = messages
        self.top: tuple[Standing, ...] = ()
        self.totals: dict[str, int] = {}
        self.positions: list[Position] = []
        self.resets = 0

    @property
    def position(self) -> Position:
        return self.positions[-1]

    async def step(self) -> WatchMessage:
        async with asyncio.timeout(10):
            message = await anext(self._messages)
        self.positions.append(message.position)
        match message.body:
            case Snapshot(top, reset):
                self.top = top
                self.resets += reset
            case Update(top, scores):
                self.top = top if top is not None else self.top
                self.totals |= {standing.user_id: standing.total for standing in scores}
            case Checkpoint():
                pass
        return message

    async def until(self, revision: int) -> None:
        while not self.positions or self.position.revision < revision:
            await self.step()


class Boards:
    """Awards that are written and projected, and watches of them."""

    def __init__(self, ledger: Ledger, projection: Projection, hubs: Hubs, stack: AsyncExitStack) -> None:
        self.ledger = ledger
        self.projector = Projector(ledger, projection)
        self.hubs = hubs
        self._stack = stack

    async def award(self, *users: str, points: int = 1) -> int:
        batch = await self.ledger.record_awards("main", [make_award(user, points) for user in users])
        await self.projector.project(batch.changes)
        return batch.changes.after.revision

    async def watch(self, request: WatchRequest = EVERYTHING) -> Watching:
        stream = await self._stack.enter_async_context(aclosing(self.hubs.watch(request)))
        return Watching(stream)


@pytest.fixture
async def boards(ledger: Ledger, projection: Projection, projector: Projector) -> AsyncIterator[Boards]:
    async with Hubs(ledger, projection, projector, QUICK).running() as hubs, AsyncExitStack() as stack:
        yield Boards(ledger, projection, hubs, stack)


async def test_first_message_is_the_top(boards: Boards) -> None:
    await boards.award("ada", "bob", points=3)
    watching = await boards.watch(replace(EVERYTHING, top_n=1))

    message = await watching.step()

    assert message.body == Snapshot((Standing("ada", 3, 1, 1),), reset=False)
    assert message.position == await boards.ledger.read_head("main")


async def test_awards_arrive_as_updates_with_ranks(boards: Boards) -> None:
    await boards.award("ada", points=5)
    watching = await boards.watch()
    await watching.step()

    await boards.award("bob", points=9)
    message = await watching.step()

    assert message.body == Update(
        (Standing("bob", 9, 1, 2), Standing("ada", 5, 2, 1)), (Standing("bob", 9, 1, 2),)
    )


async def test_many_awards_end_in_the_fold_of_the_ledger(boards: Boards) -> None:
    await boards.award("user0")
    watching = await boards.watch()
    await watching.step()

    async def writer(n: int) -> None:
        for i in range(20):
            await boards.award(f"user{(n * 7 + i) % 11}", points=i % 4 + 1)

    await asyncio.gather(*(writer(n) for n in range(5)), watching.until(101))

    assert list(watching.top) == (await expected_top(boards.ledger))[:10]
    totals = {s.user_id: s.total for s in await expected_top(boards.ledger)}
    assert watching.totals == totals
    assert watching.resets == 0
    assert watching.positions == sorted(watching.positions, key=lambda p: p.revision)


async def test_every_position_sent_is_one_of_the_ledger(boards: Boards) -> None:
    await boards.award("ada")
    watching = await boards.watch()
    for i in range(5):
        await boards.award(f"user{i}", "ada")
    await watching.until(11)

    for position in watching.positions:
        assert await boards.ledger.has_position("main", position)


async def test_resumed_watcher_ends_like_one_that_never_left(boards: Boards) -> None:
    await boards.award("ada", "bob")
    stayed, left = await boards.watch(), await boards.watch()
    await stayed.step()
    await left.step()
    await boards.award("ada", points=4)
    await left.until(3)

    for i in range(10):
        await boards.award(f"user{i % 3}", "bob")
    await stayed.until(23)
    resumed = await boards.watch(replace(EVERYTHING, after=left.position))
    await resumed.until(23)
    await resumed.step()

    assert left.totals | resumed.totals == stayed.totals
    assert resumed.top == stayed.top
    assert resumed.resets == 0
    assert "ada" not in resumed.totals


async def test_resume_after_the_projection_was_lost_misses_nothing(
    boards: Boards, redis_url: str, redis_prefix: str
) -> None:
    await boards.award("ada")
    watching = await boards.watch()
    await watching.step()
    async with Redis.from_url(redis_url) as client:
        await client.delete(*[key async for key in client.scan_iter(f"{redis_prefix}*")])

    await boards.award("bob", points=2)
    await watching.until(2)
    resumed = await boards.watch(replace(EVERYTHING, after=watching.positions[0]))
    await resumed.step()
    await resumed.step()

    assert watching.totals == resumed.totals == {"bob": 2}
    assert watching.top == resumed.top


async def test_lost_hint_is_made_up_from_the_ledger(boards: Boards, projection: Projection) -> None:
    await boards.award("ada")
    watching = await boards.watch()
    await watching.step()
    (hub,) = boards.hubs._hubs.values()
    hub._note = lambda hint: None  # type: ignore[method-assign]

    await boards.award("bob", points=2)
    await boards.award("ada", points=2)
    await watching.until(3)

    assert watching.totals == {"bob": 2, "ada": 3}


@pytest.mark.parametrize("after", [Position(1, "f" * 16), Position(99, "0" * 16), Position(0, "0" * 16)])
async def test_position_of_another_history_gets_a_reset(boards: Boards, after: Position) -> None:
    await boards.award("ada")
    await boards.award("bob")
    watching = await boards.watch(replace(EVERYTHING, after=after))

    message = await watching.step()

    assert isinstance(message.body, Snapshot)
    assert message.body.reset
    assert [s.user_id for s in message.body.top] == ["ada", "bob"]


async def test_position_too_far_back_gets_a_reset(
    ledger: Ledger, projection: Projection, projector: Projector
) -> None:
    batch = await ledger.record_awards("main", [make_award(f"user{i}") for i in range(20)])
    await projector.project(batch.changes)
    settings = replace(QUICK, resume_max=10)

    async with (
        Hubs(ledger, projection, projector, settings).running() as hubs,
        aclosing(hubs.watch(replace(EVERYTHING, after=Position.start("main")))) as stream,
    ):
        message = await anext(stream)

    assert isinstance(message.body, Snapshot)
    assert message.body.reset


async def test_resume_from_the_very_start_tells_every_score(boards: Boards) -> None:
    await boards.award("ada", "bob")
    watching = await boards.watch(replace(EVERYTHING, after=Position.start("main")))
    await watching.step()

    message = await watching.step()

    assert isinstance(message.body, Update)
    assert set(message.body.scores) == {Standing("ada", 1, 1, 1), Standing("bob", 1, 2, 2)}


async def test_resume_with_nothing_missed_vouches_for_its_position_at_once(boards: Boards) -> None:
    await boards.award("ada")
    left = await boards.watch()
    await left.step()
    await boards.award("bob")
    await left.until(2)
    watching = await boards.watch(replace(EVERYTHING, after=left.position))
    snapshot = await watching.step()

    message = await watching.step()

    assert isinstance(snapshot.body, Snapshot)
    assert isinstance(message.body, Checkpoint)
    assert message.position == snapshot.position == left.position


async def test_resume_with_nothing_missed_of_the_wanted_users_vouches_for_its_position(
    boards: Boards,
) -> None:
    await boards.award("ada")
    before = await boards.ledger.read_head("main")
    await boards.award("bob")
    request = WatchRequest("main", top_n=1, after=before, user_ids=frozenset({"ada"}))
    watching = await boards.watch(request)
    await watching.step()

    message = await watching.step()

    assert isinstance(message.body, Checkpoint)
    assert message.position.revision == 2


async def test_watcher_that_saw_more_than_the_projection_waits_for_it(boards: Boards, ledger: Ledger) -> None:
    await boards.award("ada")
    head = (await ledger.record_awards("main", [make_award("bob", 2)])).changes.after
    watching = await boards.watch(replace(EVERYTHING, after=head))

    with pytest.raises(ProjectionUnavailableError):
        await watching.step()
    await boards.projector.catch_up("main")
    watching = await boards.watch(replace(EVERYTHING, after=head))
    await watching.step()

    assert watching.position == head


async def test_idle_watch_gets_checkpoints(
    ledger: Ledger, projection: Projection, projector: Projector
) -> None:
    batch = await ledger.record_awards("main", [make_award()])
    await projector.project(batch.changes)
    settings = replace(QUICK, checkpoint_seconds=0.05)

    async with (
        Hubs(ledger, projection, projector, settings).running() as hubs,
        aclosing(hubs.watch(EVERYTHING)) as stream,
    ):
        await anext(stream)
        message = await anext(stream)

    assert message == WatchMessage(Checkpoint(), batch.changes.after, message.source)


async def test_board_without_awards_cannot_be_watched(boards: Boards) -> None:
    watching = await boards.watch(WatchRequest("nothing", 10))

    with pytest.raises(BoardNotFoundError):
        await watching.step()


async def test_watches_beyond_the_limit_are_refused(
    ledger: Ledger, projection: Projection, projector: Projector
) -> None:
    batch = await ledger.record_awards("main", [make_award()])
    await projector.project(batch.changes)

    async with (
        Hubs(ledger, projection, projector, replace(QUICK, watchers_max=1)).running() as hubs,
        aclosing(hubs.watch(EVERYTHING)) as one,
        aclosing(hubs.watch(EVERYTHING)) as other,
    ):
        await anext(one)
        with pytest.raises(WatcherEvictedError):
            await anext(other)


async def test_close_ends_every_watch(boards: Boards) -> None:
    await boards.award("ada")
    watching = await boards.watch()
    await watching.step()

    boards.hubs.close()

    with pytest.raises(ShuttingDownError):
        await watching.step()
    late = await boards.watch()
    with pytest.raises(ShuttingDownError):
        await late.step()


async def test_hub_ends_with_its_last_watcher(boards: Boards) -> None:
    await boards.award("ada")
    async with aclosing(boards.hubs.watch(EVERYTHING)) as stream:
        await anext(stream)
        assert boards.hubs.watchers == 1

    async def has_ended() -> bool:
        return not boards.hubs._tasks

    assert boards.hubs.watchers == 0
    assert boards.hubs._hubs == {}
    await eventually(has_ended)


class Interrupted(Projection):
    """A projection where something happens between the next read and its answer."""

    def __init__(self, projection: Projection) -> None:
        self.__dict__ = projection.__dict__ | {"meanwhile": None}
        self.meanwhile: Callable[[], Awaitable[object]] | None

    async def get_standings(
        self, board_id: str, user_ids: Sequence[str] = (), top_n: int = 0
    ) -> Reading | None:
        reading = await super().get_standings(board_id, user_ids, top_n)
        if self.meanwhile:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return reading


async def begin_hub(ledger: Ledger, projection: Projection) -> Hub:
    hub = Hub("main", ledger, projection, QUICK)
    await hub.begin()
    return hub


async def test_frame_has_a_user_that_changed_again_while_it_was_read(
    boards: Boards, ledger: Ledger, projection: Projection
) -> None:
    await boards.award("ada")
    interrupted = Interrupted(projection)
    hub = await begin_hub(ledger, interrupted)
    async with projection.listen("main") as hints:
        await boards.award("bob", points=2)

        async def bob_scores_again() -> None:
            await boards.award("bob", points=3)
            for _ in range(2):
                hub._note(await anext(hints))

        interrupted.meanwhile = bob_scores_again
        await hub.refresh()

    assert hub.frame.position.revision == 2
    assert hub.frame.scores == {"bob": Standing("bob", 2, 1, 2)}
    await hub.refresh()
    assert hub.frame.scores == {"bob": Standing("bob", 5, 1, 3)}


async def test_ranks_of_a_frame_are_those_of_its_position(
    boards: Boards, ledger: Ledger, projection: Projection
) -> None:
    await boards.award("ada", points=9)
    interrupted = Interrupted(projection)
    hub = await begin_hub(ledger, interrupted)
    async with projection.listen("main") as hints:
        await boards.award("bob", points=10)
        await boards.award("cyd", points=11)

        async def hear() -> None:
            for _ in range(2):
                hub._note(await anext(hints))

        interrupted.meanwhile = hear
        await hub.refresh()

    assert hub.frame.scores == {"bob": Standing("bob", 10, 2, 2), "cyd": Standing("cyd", 11, 1, 3)}


async def test_ranks_below_the_top_are_read_before_a_frame_is_sent(
    boards: Boards, ledger: Ledger, projection: Projection
) -> None:
    await boards.award(*(f"user{i}" for i in range(150)), points=50)
    hub = await begin_hub(ledger, projection)
    await boards.award("ada", points=2)
    await boards.award("bob", points=3)

    await hub.refresh()

    assert hub.frame.scores == {"ada": Standing("ada", 2, 152, 151), "bob": Standing("bob", 3, 151, 152)}


async def test_hint_after_a_lost_one_is_not_lost_with_it(
    boards: Boards, ledger: Ledger, projection: Projection
) -> None:
    await boards.award("ada")
    interrupted = Interrupted(projection)
    hub = await begin_hub(ledger, interrupted)
    async with projection.listen("main") as hints:
        await boards.award("bob")
        await anext(hints)

        async def cyd_scores() -> None:
            await boards.award("cyd")
            hub._note(await anext(hints))

        interrupted.meanwhile = cyd_scores
        await hub.refresh()
        assert set(hub.frame.scores) == {"bob"}
        await hub.refresh()

    assert hub.frame.scores == {"cyd": Standing("cyd", 1, 3, 3)}


async def test_projection_that_the_record_does_not_know_is_not_shown(
    boards: Boards, ledger: Ledger, projection: Projection
) -> None:
    await boards.award("ada")
    hub = await begin_hub(ledger, projection)
    before = hub.frame
    ghost = Changes("main", before.position, Position(7, "f" * 16), (Change("ghost", 99, 7),))
    await projection.apply_changes(ghost)

    await hub.refresh()

    assert hub.frame is before


async def test_hub_starts_anew_when_its_frame_is_of_another_history(
    boards: Boards, ledger: Ledger, projection: Projection
) -> None:
    ghost = Changes("main", Position.start("main"), Position(7, "f" * 16), (Change("ghost", 99, 7),))
    await projection.apply_changes(ghost)
    hub = await begin_hub(ledger, projection)
    await boards.award("ada")

    await hub.refresh()

    assert hub.frame.reset
    assert [standing.user_id for standing in hub.frame.top] == ["ada"]


async def test_what_is_no_hint_does_not_end_the_watch(
    boards: Boards, projection: Projection, redis_url: str
) -> None:
    await boards.award("ada")
    watching = await boards.watch()
    await watching.step()
    async with Redis.from_url(redis_url) as client:
        for noise in ("", "[]", "{", '{"before": [1], "after": 2}', b"\xff"):
            await client.publish(projection.channel("main"), noise)

    await boards.award("bob", points=2)
    await watching.until(2)

    assert watching.totals == {"bob": 2}


async def test_boards_beyond_the_connections_of_the_projection_can_be_watched(
    ledger: Ledger, projection_settings: ProjectionSettings
) -> None:
    settings = replace(projection_settings, connections_max=2, listeners_max=2, timeout=0.5)
    async with AsyncExitStack() as stack:
        projection = await stack.enter_async_context(Projection.open(settings))
        projector = Projector(ledger, projection)
        hubs = await stack.enter_async_context(Hubs(ledger, projection, projector, QUICK).running())
        watches = []
        for board in ("one", "two", "three", "four"):
            batch = await ledger.record_awards(board, [make_award(board_id=board)])
            await projector.project(batch.changes)
            stream = hubs.watch(replace(EVERYTHING, board_id=board))
            watches.append(Watching(await stack.enter_async_context(aclosing(stream))))
            await watches[-1].step()
        for board, watching in zip(("one", "two", "three", "four"), watches, strict=True):
            batch = await ledger.record_awards(board, [make_award("bob", 2, board_id=board)])
            await projector.project(batch.changes)
            await watching.until(2)
            assert watching.totals == {"bob": 2}


async def test_watches_begun_at_once_keep_to_the_limit(
    ledger: Ledger, projection: Projection, projector: Projector
) -> None:
    batch = await ledger.record_awards("main", [make_award()])
    await projector.project(batch.changes)

    async with (
        Hubs(ledger, projection, projector, replace(QUICK, watchers_max=1)).running() as hubs,
        aclosing(hubs.watch(EVERYTHING)) as one,
        aclosing(hubs.watch(EVERYTHING)) as other,
    ):
        results = await asyncio.gather(anext(one), anext(other), return_exceptions=True)

    assert [type(result) for result in results] == [WatchMessage, WatcherEvictedError]


async def test_watch_that_begins_while_the_hubs_close_is_ended(
    ledger: Ledger, projection: Projection, projector: Projector
) -> None:
    batch = await ledger.record_awards("main", [make_award()])
    await projector.project(batch.changes)
    interrupted = Interrupted(projection)

    async with Hubs(ledger, interrupted, projector, QUICK).running() as hubs:

        async def close() -> None:
            hubs.close()

        interrupted.meanwhile = close
        async with aclosing(hubs.watch(EVERYTHING)) as stream:
            with pytest.raises(ShuttingDownError):
                await anext(stream)
