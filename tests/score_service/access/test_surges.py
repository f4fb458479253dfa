"""Points out of the ordinary: seen over gRPC, counted and logged, and never rejected."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs
from tests.fixtures.certificates import BACKEND_ID
from tests.fixtures.servers.stores import eventually, make_award
from tests.fixtures.services.score_service import (
    Connect,
    ScoreService,
    StartScoreService,
    Stubs,
    award_request,
)

from local_stack.certificates import CertificateFiles
from score_api.v1 import score_service_pb2 as score_pb
from score_service.access.surges import EVENTS_A_SECOND, Surges
from score_service.access.velocity import Velocity

SURGES = "laurel_points_surges_total"


def tell(logs: list[Any]) -> list[Any]:
    return [line for line in logs if line["event"] == "points_surge"]


async def test_a_surge_over_grpc_is_counted_and_logged_while_all_its_points_are_given(
    start_score_service: StartScoreService, connect: Connect, backend_certificate: CertificateFiles
) -> None:
    service = await start_score_service(velocity_floor=50, velocity_seconds=0.2)
    stubs, total = connect(service, backend_certificate), 0
    assert await service.metric(SURGES) == 0

    async def surge_is_counted() -> bool:
        nonlocal total
        batch = score_pb.BatchAwardPointsRequest(requests=[award_request(points=20) for _ in range(3)])
        items = (await stubs.score.BatchAwardPoints(batch)).items
        total += 60
        assert {item.result.points for item in items} == {20}
        assert max(item.result.total for item in items) == total
        return await service.metric(SURGES) > 0

    with capture_logs() as logs:
        await eventually(surge_is_counted)
    line = tell(logs)[0]
    assert (line["board_id"], line["user_id"], line["caller"]) == ("main", "ada", BACKEND_ID)
    assert line["points"] > 50
    assert (line["typical"], line["left_out"], line["log_level"]) == (None, 0, "warning")


async def test_replays_are_no_points(
    start_score_service: StartScoreService, connect: Connect, backend_certificate: CertificateFiles
) -> None:
    service = await start_score_service(velocity_floor=50)
    stubs, request = connect(service, backend_certificate), award_request(points=20)
    velocity = velocity_of(service)
    for _ in range(5):
        await stubs.score.AwardPoints(request)
    batch = score_pb.BatchAwardPointsRequest(requests=[request, award_request(points=20), request])
    await stubs.score.BatchAwardPoints(batch)

    assert {key: pace.current for key, pace in velocity._paces.items()} == {("main", "ada"): 40}


async def test_it_can_be_switched_off(start_score_service: StartScoreService) -> None:
    service = await start_score_service(velocity_floor=0)
    assert service.running.parts.scoring._on_made is None


async def test_a_few_awards_are_ordinary(score_service: ScoreService, backend_stubs: Stubs) -> None:
    with capture_logs() as logs:
        for _ in range(3):
            await backend_stubs.score.AwardPoints(award_request(points=100))
    assert tell(logs) == []
    assert await score_service.metric(SURGES) == 0


def velocity_of(service: ScoreService) -> Velocity:
    note: Any = service.running.parts.scoring._on_made
    velocity: Velocity = note.__self__._velocity
    return velocity


@pytest.fixture
def clock() -> list[float]:
    return [0.0]


def test_a_flood_is_counted_whole_and_logged_in_few_lines(clock: list[float]) -> None:
    registry = CollectorRegistry()
    surges = Surges(Velocity(floor=10, multiple=2), registry, lambda: clock[0])
    surges.note([make_award("early", 1)])
    clock[0] = 180.0
    with capture_logs() as logs:
        surges.note(make_award(f"bot-{number}", 11) for number in range(100))
        clock[0] = 181.0
        surges.note([make_award("bot", 11)])

    left_out = 100 - EVENTS_A_SECOND
    assert [line["left_out"] for line in tell(logs)] == [0] * EVENTS_A_SECOND + [left_out]
    assert registry.get_sample_value(SURGES) == 101
