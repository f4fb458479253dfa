"""What the parts of the service tell of themselves."""

from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.score_service import Connect, ScoreService, StartScoreService, award_request

from local_stack.certificates import CertificateFiles
from score_api.v1 import leaderboard_service_pb2 as leaderboard_pb


async def test_metrics_show_how_full_the_process_is(
    start_score_service: StartScoreService, connect: Connect, backend_certificate: CertificateFiles
) -> None:
    service = await start_score_service(
        calls_max=11, awards_waiting_max=12, watchers_max=13, database_connections=14
    )
    stubs = connect(service, backend_certificate)
    await stubs.score.AwardPoints(award_request())
    request = leaderboard_pb.WatchLeaderboardRequest(board_id="main", top_n=10)
    watch = stubs.leaderboard.WatchLeaderboard(request)
    await anext(aiter(watch))
    used = ("calls_under_way", "awards_waiting", "watchers", "database_waiting")
    bounds = ("calls_max", "awards_waiting_max", "watchers_max", "database_connections_max")

    async def is_idle_but_for_the_watch() -> bool:
        return await read(service, used) == [0, 0, 1, 0]

    # A call is answered before it is no longer under way, and checks wait for connections, too.
    await eventually(is_idle_but_for_the_watch)
    assert await read(service, bounds) == [11, 12, 13, 14]
    assert 0 <= await service.metric("laurel_database_connections") <= 14
    watch.cancel()


async def read(service: ScoreService, names: tuple[str, ...]) -> list[float]:
    return [await service.metric(f"laurel_{name}") for name in names]
