"""The read path on real stores, and while one of them is unavailable."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.servers.redis import delete_keys
from tests.fixtures.servers.stores import eventually, expected_top, make_award, make_projector

from score_service.boards.standings.leaderboard import Leaderboard
from score_service.boards.standings.period_finder import PeriodFinder
from score_service.boards.standings.shared_reads import RecordReader
from score_service.domain.ledger.changes import Change, Changes
from score_service.domain.ledger.position import Position
from score_service.domain.standings.standing import BoardView, Source, Standing
from score_service.errors import (
    BoardNotFoundError,
    ProjectionUnavailableError,
    RecordUnavailableError,
    StandingNotFoundError,
)
from score_service.projection.projection import Projection
from score_service.reconcile.projector import Projector
from score_service.reconcile.rebuild.rebuilder import Rebuilder
from score_service.record.database import Database
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore
from score_service.record.results import Results
from score_service.record.standings import Standings
from score_service.stream.feeds import Feeds
from score_service.stream.hub import Hub, HubSettings
from service_runtime.postgres.pool import PoolSettings


async def fill(ledger: Ledger, projector: Projector) -> Position:
    """Make a projected board of eight users, some of them equal."""
    batch = await ledger.record_awards("main", [make_award(f"user{i}", 9 - i // 2) for i in range(8)])
    await projector.catch_up("main")
    return batch.changes.after


async def read_each_way(leaderboard: Leaderboard) -> list[BoardView]:
    return [
        await leaderboard.get_standing("main", "user3"),
        await leaderboard.get_standings("main", ["user6", "nobody", "user1"]),
        await leaderboard.list_standings("main", 5),
        await leaderboard.list_standings_around("main", "user5", 1),
    ]


def without_source(views: Sequence[BoardView]) -> list[tuple[tuple[Standing, ...], Position, str]]:
    return [(view.standings, view.position, view.next_page_token) for view in views]


async def test_board_that_was_never_projected_is_read_from_the_record(
    leaderboard: Leaderboard, ledger: Ledger
) -> None:
    batch = await ledger.record_awards("main", [make_award("ada", 5), make_award("bob", 9)])

    view = await leaderboard.list_standings("main", 10)

    assert view == BoardView(
        (Standing("bob", 9, 1, 2), Standing("ada", 5, 2, 1)), batch.changes.after, Source.RECORD
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
    assert (stale.source, fresh.source) == (Source.CACHE, Source.CACHE)


class Stuck(Projector):
    """A projector that does not get on."""

    async def catch_up(self, board_id: str) -> Position:
        await asyncio.Event().wait()
        raise AssertionError


async def test_reader_sees_its_own_write_in_the_record_where_the_projection_does_not_get_on(
    ledger: Ledger,
    projection: Projection,
    projector: Projector,
    rebuilder: Rebuilder,
    standings: Standings,
    results: Results,
    reader: RecordReader,
    finder: PeriodFinder,
) -> None:
    await fill(ledger, projector)
    head = (await ledger.record_awards("main", [make_award("user3", 50)])).changes.after
    stuck = Stuck(ledger, projection, rebuilder)
    leaderboard = Leaderboard(projection, stuck, standings, results, reader, finder)

    view = await leaderboard.get_standing("main", "user3", head.revision)

    assert view == BoardView((Standing("user3", 58, 1, 9),), head, Source.RECORD)


async def test_revision_that_the_ledger_has_not_is_unavailable(
    leaderboard: Leaderboard, lossy_leaderboard: Leaderboard, redis_proxy: Proxy, ledger: Ledger
) -> None:
    await ledger.record_awards("main", [make_award("ada", 5)])
    redis_proxy.hold()

    for one in (leaderboard, lossy_leaderboard):
        with pytest.raises(ProjectionUnavailableError):
            await one.list_standings("main", 10, min_revision=2)


async def test_unknown_board_and_unknown_user_are_distinguished(
    leaderboard: Leaderboard, ledger: Ledger, projector: Projector
) -> None:
    await ledger.record_awards("main", [make_award("ada", 5)])
    for _ in range(2):
        with pytest.raises(BoardNotFoundError):
            await leaderboard.get_standing("other", "ada")
        with pytest.raises(StandingNotFoundError):
            await leaderboard.get_standing("main", "bob")
        with pytest.raises(StandingNotFoundError):
            await leaderboard.list_standings_around("main", "bob", 2)
        assert (await leaderboard.get_standings("main", ["bob"])).standings == ()
        await projector.catch_up("main")


async def test_every_read_is_answered_by_the_record_as_by_redis(
    leaderboard: Leaderboard,
    lossy_leaderboard: Leaderboard,
    redis_proxy: Proxy,
    ledger: Ledger,
    projector: Projector,
) -> None:
    head = await fill(ledger, projector)
    cached = await read_each_way(leaderboard)
    redis_proxy.hold()

    recorded = await read_each_way(lossy_leaderboard)

    assert {view.source for view in cached} == {Source.CACHE}
    assert {view.source for view in recorded} == {Source.RECORD}
    assert without_source(recorded) == without_source(cached)
    assert {view.position for view in recorded} == {head}


async def test_reads_return_to_redis_when_it_is_back(
    lossy_leaderboard: Leaderboard, redis_proxy: Proxy, ledger: Ledger, projector: Projector
) -> None:
    await fill(ledger, projector)
    redis_proxy.hold()
    redis_proxy.reset()
    assert (await lossy_leaderboard.list_standings("main", 5)).source is Source.RECORD
    redis_proxy.release()

    async def is_back() -> bool:
        return (await lossy_leaderboard.list_standings("main", 5)).source is Source.CACHE

    await eventually(is_back)


async def test_client_pages_through_an_outage(
    leaderboard: Leaderboard,
    ledger: Ledger,
    projector: Projector,
    redis_url: str,
    redis_prefix: str,
) -> None:
    await fill(ledger, projector)

    first = await leaderboard.list_standings("main", 3)
    await delete_keys(redis_url, redis_prefix)
    second = await leaderboard.list_standings("main", 3, first.next_page_token)
    await projector.catch_up("main")
    third = await leaderboard.list_standings("main", 3, second.next_page_token)

    assert [view.source for view in (first, second, third)] == [Source.CACHE, Source.RECORD, Source.CACHE]
    assert [*first.standings, *second.standings, *third.standings] == await expected_top(ledger)
    assert third.next_page_token == ""


async def test_reads_go_on_from_redis_while_the_record_is_unavailable(
    projection: Projection,
    projector: Projector,
    ledger: Ledger,
    reader: RecordReader,
    free_port: Callable[[], int],
) -> None:
    await fill(ledger, projector)
    async with nowhere(free_port()) as database:
        unavailable = Ledger(database)
        standings = Standings(database)
        projector = make_projector(unavailable, standings, projection)
        finder = PeriodFinder(unavailable, PeriodStore(database), reader)
        leaderboard = Leaderboard(projection, projector, standings, Results(database), reader, finder)

        views = await read_each_way(leaderboard)
        with pytest.raises(RecordUnavailableError):
            await leaderboard.list_standings("main", 5, min_revision=100)
        with pytest.raises(RecordUnavailableError):
            await leaderboard.list_standings("other", 5)

    assert {view.source for view in views} == {Source.CACHE}


async def test_board_that_only_redis_has_is_not_found(
    leaderboard: Leaderboard, projection: Projection, feeds: Feeds
) -> None:
    ghost = Changes("ghost", Position.start("ghost"), Position(7, "f" * 16), (Change("eve", 99, 7),))
    await projection.apply_changes(ghost)

    with pytest.raises(BoardNotFoundError):
        await leaderboard.list_standings("ghost", 10)

    await projection.apply_changes(ghost)
    with pytest.raises(BoardNotFoundError):
        await Hub("ghost", feeds, HubSettings()).begin()


@asynccontextmanager
async def nowhere(port: int) -> AsyncIterator[Database]:
    """Open a database that is not there."""
    settings = PoolSettings(f"postgresql://nobody@127.0.0.1:{port}/none", wait_seconds=0.1)
    async with Database.open(settings) as database:
        yield database
