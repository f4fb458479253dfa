"""The read path on real stores."""

from collections.abc import Callable

import pytest
from tests.fixtures.stores import make_award

from score_service.errors import (
    BoardNotFoundError,
    ProjectionUnavailableError,
    StandingNotFoundError,
)
from score_service.leaderboard import Leaderboard
from score_service.ledger import Ledger
from score_service.projection import Projection, ProjectionSettings
from score_service.projector import Projector
from score_service.standing import BoardView, Source, Standing


@pytest.fixture
def leaderboard(projection: Projection, projector: Projector) -> Leaderboard:
    return Leaderboard(projection, projector)


async def test_board_is_read_even_if_it_was_never_projected(leaderboard: Leaderboard, ledger: Ledger) -> None:
    batch = await ledger.record_awards("main", [make_award("ada", 5), make_award("bob", 9)])

    view = await leaderboard.list_standings("main", 10)

    assert view == BoardView(
        (Standing("bob", 9, 1, 2), Standing("ada", 5, 2, 1)), batch.changes.after, Source.CACHE
    )


async def test_reader_sees_its_own_write(
    leaderboard: Leaderboard, ledger: Ledger, projector: Projector
) -> None:
    await ledger.record_awards("main", [make_award("ada", 5)])
    await projector.catch_up("main")
    batch = await ledger.record_awards("main", [make_award("ada", 2)])

    stale = await leaderboard.get_standing("main", "ada")
    fresh = await leaderboard.get_standing("main", "ada", batch.changes.after.revision)

    assert [s.total for s in stale.standings + fresh.standings] == [5, 7]


async def test_revision_that_the_ledger_has_not_is_unavailable(
    leaderboard: Leaderboard, ledger: Ledger
) -> None:
    await ledger.record_awards("main", [make_award("ada", 5)])

    with pytest.raises(ProjectionUnavailableError):
        await leaderboard.list_standings("main", 10, min_revision=2)


async def test_unknown_board_and_unknown_user_are_told_apart(
    leaderboard: Leaderboard, ledger: Ledger
) -> None:
    await ledger.record_awards("main", [make_award("ada", 5)])

    with pytest.raises(BoardNotFoundError):
        await leaderboard.get_standing("other", "ada")
    with pytest.raises(StandingNotFoundError):
        await leaderboard.get_standing("main", "bob")
    with pytest.raises(StandingNotFoundError):
        await leaderboard.list_standings_around("main", "bob", 2)
    assert (await leaderboard.get_standings("main", ["bob"])).standings == ()


async def test_neighbours_are_read_at_one_position(leaderboard: Leaderboard, ledger: Ledger) -> None:
    batch = await ledger.record_awards("main", [make_award(f"user{i}", 9 - i) for i in range(5)])

    view = await leaderboard.list_standings_around("main", "user2", 1)

    assert [s.user_id for s in view.standings] == ["user1", "user2", "user3"]
    assert view.position == batch.changes.after


async def test_reads_without_redis_are_unavailable(ledger: Ledger, free_port: Callable[[], int]) -> None:
    async with Projection.open(ProjectionSettings(f"redis://127.0.0.1:{free_port()}")) as projection:
        leaderboard = Leaderboard(projection, Projector(ledger, projection))

        with pytest.raises(ProjectionUnavailableError):
            await leaderboard.list_standings("main", 10)
