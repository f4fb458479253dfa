"""The frames of one board, on real stores."""

from dataclasses import replace

import pytest
from tests.fixtures.boards import QUICK, Boards, Interrupted

from score_service.domain.changes import Change, Changes
from score_service.domain.hint import Hint
from score_service.domain.position import Position
from score_service.domain.standing import Standing
from score_service.errors import BoardNotFoundError
from score_service.projection.projection import Projection
from score_service.stream import hub as hub_module
from score_service.stream.hub import Feeds, Hub


async def begin_hub(feeds: Feeds) -> Hub:
    hub = Hub("main", feeds, QUICK)
    await hub.begin()
    return hub


async def test_frame_has_a_user_that_changed_again_while_it_was_read(
    boards: Boards, feeds: Feeds, projection: Projection
) -> None:
    await boards.award("ada")
    interrupted = Interrupted(projection)
    hub = await begin_hub(replace(feeds, projection=interrupted))
    async with projection.subscribe("main") as hints:
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
    boards: Boards, feeds: Feeds, projection: Projection
) -> None:
    await boards.award("ada", points=9)
    interrupted = Interrupted(projection)
    hub = await begin_hub(replace(feeds, projection=interrupted))
    async with projection.subscribe("main") as hints:
        await boards.award("bob", points=10)
        await boards.award("cyd", points=11)

        async def hear() -> None:
            for _ in range(2):
                hub._note(await anext(hints))

        interrupted.meanwhile = hear
        await hub.refresh()

    assert hub.frame.scores == {"bob": Standing("bob", 10, 2, 2), "cyd": Standing("cyd", 11, 1, 3)}


async def test_ranks_below_the_top_are_read_before_a_frame_is_sent(
    boards: Boards, feeds: Feeds, projection: Projection
) -> None:
    await boards.award(*(f"user{i}" for i in range(150)), points=50)
    hub = await begin_hub(feeds)
    await boards.award("ada", points=2)
    await boards.award("bob", points=3)

    await hub.refresh()

    assert hub.frame.scores == {"ada": Standing("ada", 2, 152, 151), "bob": Standing("bob", 3, 151, 152)}


async def test_hint_after_a_lost_one_is_not_lost_with_it(
    boards: Boards, feeds: Feeds, projection: Projection
) -> None:
    await boards.award("ada")
    interrupted = Interrupted(projection)
    hub = await begin_hub(replace(feeds, projection=interrupted))
    async with projection.subscribe("main") as hints:
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
    boards: Boards, feeds: Feeds, projection: Projection
) -> None:
    await boards.award("ada")
    hub = await begin_hub(feeds)
    before = hub.frame
    ghost = Changes("main", before.position, Position(7, "f" * 16), (Change("ghost", 99, 7),))
    await projection.apply_changes(ghost)

    await hub.refresh()

    assert (hub.frame.position, hub.frame.top) == (before.position, before.top)


async def test_hub_starts_anew_when_its_frame_is_of_another_history(
    boards: Boards, feeds: Feeds, projection: Projection
) -> None:
    await boards.record("ada")
    ghost = Changes("main", Position.start("main"), Position(7, "f" * 16), (Change("ghost", 99, 7),))
    await projection.apply_changes(ghost)
    hub = await begin_hub(feeds)
    hub._note(Hint(Position(7, "f" * 16), Position(8, "f" * 16), (Standing("ghost", 100, 1, 8),)))
    await boards.award("bob")

    await hub.refresh()

    assert hub._trail.users() == set()
    assert hub.frame.reset
    assert [standing.user_id for standing in hub.frame.top] == ["ada", "bob"]


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
        await begin_hub(replace(feeds, projection=interrupted))


async def test_frame_too_far_back_is_not_made_up_change_by_change(
    boards: Boards, feeds: Feeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "_FILL_MAX", 2)
    await boards.award("ada")
    hub = await begin_hub(feeds)
    await boards.award("ada", "bob")
    await hub.refresh()
    assert not hub.frame.reset
    await boards.award("ada", "bob", "ada")

    await hub.refresh()

    assert hub.frame.reset
    assert hub.frame.position == await boards.ledger.read_head("main")
