"""Where a scripted server takes awards."""

from collections.abc import AsyncIterator

import grpc
import pytest
from tests.fixtures.services.score_service import Stubs, award_request, credentials_of

from conformance.server.desk import LOSE, MAKE, Desk, Rejection
from conformance.server.scripted import ScriptedServer
from local_stack.certificates import CertificateFiles
from score_api.v1 import score_service_pb2 as scores


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def stubs(
    desk: Desk, server_certificate: CertificateFiles, backend_certificate: CertificateFiles
) -> AsyncIterator[Stubs]:
    async with ScriptedServer(server_certificate) as server:
        desk.open(server)
        credentials = credentials_of(backend_certificate)
        async with grpc.aio.secure_channel(server.target, credentials) as channel:
            yield Stubs.on(channel)


async def test_an_award_whose_answer_got_lost_is_answered_with_the_first_result(
    desk: Desk, stubs: Stubs
) -> None:
    desk.script(LOSE, MAKE)
    request = award_request()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stubs.score.AwardPoints(request, timeout=20)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    response = await stubs.score.AwardPoints(request, timeout=20)
    assert (response.result.revision, response.result.replayed) == (1, False)
    assert list(desk.made) == [request.award.award_id]
    assert [attempt.ids for attempt in desk.attempts] == [(request.award.award_id, request.request_id)] * 2


async def test_another_request_of_an_award_is_a_replay(desk: Desk, stubs: Stubs) -> None:
    request = award_request()
    await stubs.score.AwardPoints(request, timeout=20)
    request.request_id = award_request().request_id
    response = await stubs.score.AwardPoints(request, timeout=20)
    assert (response.result.revision, response.result.replayed) == (1, True)


async def test_a_batch_has_an_item_for_each_award_in_order(desk: Desk, stubs: Stubs) -> None:
    rejection = Rejection(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", 0.5, {"award.points": "no"})
    desk.script(rejection, user_id="ben")
    requests = [award_request(), award_request(), award_request()]
    requests[1].award.user_id = "ben"
    response = await stubs.score.BatchAwardPoints(
        scores.BatchAwardPointsRequest(requests=requests), timeout=20
    )
    first, second, third = response.items
    assert [first.result.award_id, third.result.award_id] == [
        requests[0].award.award_id,
        requests[2].award.award_id,
    ]
    assert second.error == scores.AwardError(
        code=3,
        reason="INVALID_FIELD",
        message="As scripted.",
        fields={"award.points": "no"},
        retry_after_seconds=0.5,
    )
