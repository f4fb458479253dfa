"""Corrections while something else happens: retries, a period that closes, no Redis, another replica."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest
from tests.fixtures.ledgers.boards import PeriodBoards
from tests.fixtures.ledgers.corrections import (
    apply_request,
    plan_request,
    reversal_request,
    visibility_request,
)
from tests.fixtures.ledgers.periods import DAY, HOUR, MONDAY, Moment
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.servers.postgres import Login
from tests.fixtures.servers.stores import eventually, is_projected
from tests.fixtures.services.score_service import (
    Connect,
    ScoreService,
    StartScoreService,
    Stubs,
    award_request,
    read_rejection,
)

from local_stack.certificates import CertificateFiles
from score_api.v1 import board_service_pb2 as board_pb
from score_api.v1 import correction_service_pb2 as correction_pb
from score_api.v1 import leaderboard_service_pb2 as leaderboard_pb
from score_api.v1 import ledger_service_pb2 as ledger_pb
from score_api.v1 import score_service_pb2 as score_pb
from score_api.v1 import types_pb2 as types_pb
from score_service.domain.board.board_settings import BoardSettings
from score_service.record.periods import PeriodStore

MONDAYS = "day:2026-11-30"


@pytest.fixture
async def replicas(
    start_score_service: StartScoreService, connect: Connect, backend_certificate: CertificateFiles
) -> list[Stubs]:
    """Return stubs of two services on the same stores."""
    services = [await start_score_service() for _ in range(2)]
    return [connect(service, backend_certificate) for service in services]


async def give(stubs: Stubs, user_id: str = "ada", points: int = 10, **changes: Any) -> score_pb.AwardResult:
    response = await stubs.score.AwardPoints(award_request(user_id=user_id, points=points, **changes))
    return response.result


async def totals(stubs: Stubs, **fields: Any) -> dict[str, int]:
    request = leaderboard_pb.ListStandingsRequest(board_id="main", **fields)
    return {row.user_id: row.total for row in (await stubs.leaderboard.ListStandings(request)).standings}


async def reversal_of(call: Awaitable[correction_pb.ReverseAwardResponse]) -> types_pb.Reversal | None:
    """Return the reversal that stands, of an answer or of the details of its error."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        rejection = read_rejection(error)
        assert rejection.reason == "AWARD_REVERSED"
        return rejection.reversal
    return answer.reversal


async def test_an_award_that_is_retried_while_it_is_reversed_is_made_once_and_taken_back_once(
    replicas: list[Stubs],
) -> None:
    request = award_request()
    await replicas[0].score.AwardPoints(request)
    retries = [stubs.score.AwardPoints(request) for _ in range(20) for stubs in replicas]
    reversing = replicas[1].correction.ReverseAward(reversal_request(request.award.award_id))
    answers, reversed_by = await asyncio.gather(asyncio.gather(*retries), reversing)

    last = (await replicas[0].score.AwardPoints(request)).result
    assert {(answer.result.revision, answer.result.total) for answer in answers} == {(1, 10)}
    assert (reversed_by.reversal.revision, last.reversed) == (2, True)
    for stubs in replicas:
        assert await totals(stubs, min_revision=2) == {}


async def test_an_award_that_is_made_for_the_first_time_while_it_is_reversed_is_taken_back_or_not_found(
    replicas: list[Stubs],
) -> None:
    for _ in range(10):
        request, reversal = award_request(), reversal_request(str(uuid.uuid4()))
        reversal.award_id = request.award.award_id
        made, taken = await asyncio.gather(
            replicas[0].score.AwardPoints(request),
            replicas[1].correction.ReverseAward(reversal),
            return_exceptions=True,
        )
        assert isinstance(made, score_pb.AwardPointsResponse)
        if isinstance(taken, grpc.aio.AioRpcError):
            assert read_rejection(taken).reason in {"AWARD_NOT_FOUND", "BOARD_NOT_FOUND"}
            taken = await replicas[1].correction.ReverseAward(reversal)
        assert isinstance(taken, correction_pb.ReverseAwardResponse)
        assert taken.reversal.award_revision == made.result.revision
    assert await totals(replicas[0], min_revision=20) == {}


@pytest.mark.parametrize("is_same", [True, False], ids=["the same", "two"])
async def test_reversals_of_an_award_that_two_replicas_are_asked_for_at_once_make_one(
    replicas: list[Stubs],
    is_same: bool,  # noqa: FBT001 - Whether both have the same id.
) -> None:
    for _ in range(10):
        made = await give(replicas[0])
        requests = [reversal_request(made.award_id) for _ in replicas]
        if is_same:
            requests[1] = requests[0]
        calls = [
            reversal_of(stubs.correction.ReverseAward(request))
            for stubs, request in zip(replicas, requests, strict=True)
        ]
        one, other = await asyncio.gather(*calls)
        assert one == other
        assert one is not None
        assert one.award_id == made.award_id
    assert await totals(replicas[1], min_revision=20) == {}


async def test_a_plan_that_two_replicas_apply_at_once_takes_each_award_back_once(
    replicas: list[Stubs],
) -> None:
    requests = [award_request(user_id=f"user-{n % 9}", points=1) for n in range(800)]
    await replicas[0].score.BatchAwardPoints(score_pb.BatchAwardPointsRequest(requests=requests))
    token = (await replicas[1].correction.ReverseAwards(plan_request())).plan_token
    later = await give(replicas[0], "eve", 5)

    applied = await asyncio.gather(
        *(stubs.correction.ReverseAwards(apply_request(token)) for stubs in replicas)
    )

    last = await replicas[0].correction.ReverseAwards(apply_request(token))
    assert all(answer.reversed > 0 for answer in applied)
    assert (last.awards, last.reversed) == (800, 800)
    assert await totals(replicas[1], min_revision=1_601) == {"eve": 5}
    listed = await replicas[0].ledger.ListAwards(ledger_pb.ListAwardsRequest(board_id="main", page_size=1000))
    assert listed.awards[0].award_id == later.award_id
    assert {award.reversal.revision for award in listed.awards[1:]} == set(range(802, 1_602))


async def test_corrections_are_made_and_seen_while_redis_is_unavailable_and_the_ranks_follow_when_it_is_back(
    start_score_service: StartScoreService,
    connect: Connect,
    backend_certificate: CertificateFiles,
    start_proxy: Callable[[str], Awaitable[Proxy]],
    redis_login: Login,
) -> None:
    address = urlsplit(redis_login.url).netloc.rpartition("@")[2]
    proxy = await start_proxy(address)
    service = await start_score_service(redis_url=redis_login.url.replace(address, proxy.address))
    stubs = connect(service, backend_certificate)
    kept, taken = await give(stubs, "ada", 10), await give(stubs, "ada", 7)
    await give(stubs, "bob", 5)

    proxy.upstream = "127.0.0.1:1"
    proxy.reset()
    answer = await stubs.correction.ReverseAward(reversal_request(taken.award_id))
    hidden = await stubs.correction.SetUserVisibility(
        visibility_request("bob", correction_pb.VISIBILITY_HIDDEN)
    )
    seen = await totals(stubs, min_revision=hidden.revision)
    proxy.upstream = address

    assert (answer.reversal.total, answer.HasField("rank")) == (10, False)
    assert seen == {"ada": 10}
    assert kept.revision == 1

    async def has_followed() -> bool:
        return await is_projected(service.ledger, service.projection)

    await eventually(has_followed)
    assert await totals(stubs, min_revision=hidden.revision) == {"ada": 10}


async def test_an_award_that_is_reversed_while_its_period_closes_is_in_the_result_or_named_by_the_reversal(
    start_score_service: StartScoreService,
    connect: Connect,
    backend_certificate: CertificateFiles,
    moment: Moment,
) -> None:
    moment.set(MONDAY + 12 * HOUR)
    service: ScoreService = await start_score_service(now=moment)
    parts, stubs = service.running.parts, connect(service, backend_certificate)
    board = PeriodBoards(parts.scoring, parts.boards, PeriodStore(parts.database), parts.projector, moment)
    await board.configure(BoardSettings(periods=("day",)))
    made = [await give(stubs, f"user-{n}", 10) for n in range(20)]

    moment.set(MONDAY + DAY + HOUR)
    closing = asyncio.create_task(board.close(MONDAYS))
    answers = await asyncio.gather(
        *(stubs.correction.ReverseAward(reversal_request(award.award_id)) for award in made)
    )
    await closing

    named = {answer.reversal.user_id for answer in answers if MONDAYS in answer.reversal.final_periods}
    request = board_pb.GetPeriodRequest(board_id="main", period=MONDAYS, winners=100)

    async def is_final() -> bool:
        shown = (await stubs.board.GetPeriod(request)).result.period
        return shown.state == types_pb.PERIOD_STATE_FINAL

    await eventually(is_final)
    result = (await stubs.board.GetPeriod(request)).result
    assert {standing.user_id for standing in result.winners} == named
    assert result.reversed_after == len(named)
    assert {reversal.user_id for reversal in result.reversals_after} == named
    assert await totals(stubs) == {}


async def test_what_is_reversed_after_the_end_of_a_period_is_listed_with_its_result(
    start_score_service: StartScoreService,
    connect: Connect,
    backend_certificate: CertificateFiles,
    moment: Moment,
) -> None:
    moment.set(MONDAY + 12 * HOUR)
    service: ScoreService = await start_score_service(now=moment)
    parts, stubs = service.running.parts, connect(service, backend_certificate)
    board = PeriodBoards(parts.scoring, parts.boards, PeriodStore(parts.database), parts.projector, moment)
    await board.configure(BoardSettings(periods=("day",)))
    before, after = await give(stubs, "ada", 10), await give(stubs, "bob", 7)
    open_still = await stubs.correction.ReverseAward(reversal_request(before.award_id))
    moment.set(MONDAY + DAY + HOUR)
    await board.close(MONDAYS)
    late = await stubs.correction.ReverseAward(reversal_request(after.award_id))

    request = board_pb.GetPeriodRequest(board_id="main", period=MONDAYS, winners=10)
    result = (await stubs.board.GetPeriod(request)).result

    assert list(open_still.reversal.final_periods) == []
    assert list(late.reversal.final_periods) == [MONDAYS]
    assert [(standing.user_id, standing.total) for standing in result.winners] == [("bob", 7)]
    assert result.reversed_after == 1
    assert [reversal.reversal_id for reversal in result.reversals_after] == [late.reversal.reversal_id]
    assert await totals(stubs, min_revision=late.reversal.revision) == {}
