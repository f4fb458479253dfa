"""The frames of one board, on real stores."""

import asyncio
from dataclasses import replace

import pytest
from tests.fixtures.ledgers.boards import QUICK, Boards, Interrupted

from score_service.domain.ledger.changes import Change, Changes
from score_service.domain.ledger.position import Position
from score_service.domain.standings.hint import Hint
from score_service.domain.standings.standing import Standing
from score_service.errors import BoardNotFoundError
from score_service.projection.projection import Projection
from score_service.stream import frames as frames_module
from score_service.stream.feeds import Feeds
from score_service.stream.frame import Frame
from score_service.stream.frames import Frames


async def begin_frames(feeds: Feeds) -> Frames:
    async def offer_to_nobody(_frame: Frame) -> None:
        await asyncio.sleep(0)

    frames = Frames("main", feeds, offer_to_nobody, hint_seconds=QUICK.tick_seconds)
    await frames.begin(QUICK.poll_seconds)
    return frames


async def test_frame_has_a_user_that_changed_again_while_it_was_read(
    boards: Boards, feeds: Feeds, projection: Projection
) -> None:
    await boards.award("ada")
    interrupted = Interrupted(projection)
    frames = await begin_frames(replace(feeds, projection=interrupted))
    async with projection.subscribe("main") as hints:
        await boards.award("bob", points=2)

        async def bob_scores_again() -> None:
            await boards.award("bob", points=3)
            for _ in range(2):
                frames.note(await anext(hints))

        interrupted.meanwhile = bob_scores_again
        await frames.refresh()

    assert frames.newest.position.revision == 2
    assert frames.newest.scores == {"bob": Standing("bob", 2, 1, 2)}
    await frames.refresh()
    assert frames.newest.scores == {"bob": Standing("bob", 5, 1, 3)}


async def test_ranks_of_a_frame_are_those_of_its_position(
    boards: Boards, feeds: Feeds, projection: Projection
) -> None:
    await boards.award("ada", points=9)
    interrupted = Interrupted(projection)
    frames = await begin_frames(replace(feeds, projection=interrupted))
    async with projection.subscribe("main") as hints:
        await boards.award("bob", points=10)
        await boards.award("cyd", points=11)

        async def receive() -> None:
            for _ in range(2):
                frames.note(await anext(hints))

        interrupted.meanwhile = receive
        await frames.refresh()

    assert frames.newest.scores == {"bob": Standing("bob", 10, 2, 2), "cyd": Standing("cyd", 11, 1, 3)}


async def test_ranks_below_the_top_are_read_before_a_frame_is_sent(
    boards: Boards, feeds: Feeds, projection: Projection
) -> None:
    await boards.award(*(f"user{i}" for i in range(150)), points=50)
    frames = await begin_frames(feeds)
    await boards.award("ada", points=2)
    await boards.award("bob", points=3)

    await frames.refresh()

    assert frames.newest.scores == {"ada": Standing("ada", 2, 152, 151), "bob": Standing("bob", 3, 151, 152)}


async def test_hint_after_a_lost_one_is_not_lost_with_it(
    boards: Boards, feeds: Feeds, projection: Projection
) -> None:
    await boards.award("ada")
    interrupted = Interrupted(projection)
    frames = await begin_frames(replace(feeds, projection=interrupted))
    async with projection.subscribe("main") as hints:
        await boards.award("bob")
        await anext(hints)

        async def cyd_scores() -> None:
            await boards.award("cyd")
            frames.note(await anext(hints))

        interrupted.meanwhile = cyd_scores
        await frames.refresh()
        assert set(frames.newest.scores) == {"bob"}
        await frames.refresh()

    assert frames.newest.scores == {"cyd": Standing("cyd", 1, 3, 3)}


async def test_projection_that_the_record_does_not_know_is_not_shown(
    boards: Boards, feeds: Feeds, projection: Projection
) -> None:
    await boards.award("ada")
    frames = await begin_frames(feeds)
    before = frames.newest
    ghost = Changes("main", before.position, Position(7, "f" * 16), (Change("ghost", 99, 7),))
    await projection.apply_changes(ghost)

    await frames.refresh()

    assert (frames.newest.position, frames.newest.top) == (before.position, before.top)


async def test_frame_of_another_history_is_followed_by_a_reset(
    boards: Boards, feeds: Feeds, projection: Projection
) -> None:
    await boards.record("ada")
    ghost = Changes("main", Position.start("main"), Position(7, "f" * 16), (Change("ghost", 99, 7),))
    await projection.apply_changes(ghost)
    frames = await begin_frames(feeds)
    frames.note(Hint(Position(7, "f" * 16), Position(8, "f" * 16), (Standing("ghost", 100, 1, 8),)))
    await boards.award("bob")

    await frames.refresh()

    assert frames._hints.users() == set()
    assert frames.newest.reset
    assert [standing.user_id for standing in frames.newest.top] == ["ada", "bob"]


async def test_board_that_only_redis_has_is_not_watched_where_redis_becomes_unavailable_meanwhile(
    feeds: Feeds, projection: Projection
) -> None:
    ghost = Changes("main", Position.start("main"), Position(7, "f" * 16), (Change("ghost", 99, 7),))
    await projection.apply_changes(ghost)
    interrupted = Interrupted(projection)

    async def lose_redis() -> None:
        for server in await projection._cache._servers.list_primaries(0):
            server.breaker.fail()

    interrupted.meanwhile = lose_redis

    with pytest.raises(BoardNotFoundError):
        await begin_frames(replace(feeds, projection=interrupted))


async def test_frame_too_far_back_is_not_made_up_change_by_change(
    boards: Boards, feeds: Feeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames_module, "_REPLAYED_MAX", 2)
    await boards.award("ada")
    frames = await begin_frames(feeds)
    await boards.award("ada", "bob")
    await frames.refresh()
    assert not frames.newest.reset
    await boards.award("ada", "bob", "ada")

    await frames.refresh()

    assert frames.newest.reset
    assert frames.newest.position == await boards.ledger.read_head("main")
