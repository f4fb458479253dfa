"""`LedgerService.ListAwards` over real mutual TLS and real stores."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode
from tests.fixtures.certificates import BACKEND_ID, GATEWAY_ID
from tests.fixtures.ledgers.corrections import reversal_request
from tests.fixtures.services.score_service import Connect, ScoreService, Stubs, award_request, rejected

from local_stack.certificates import CertificateFiles
from score_api.v1 import board_service_pb2 as board_pb
from score_api.v1 import ledger_service_pb2 as ledger_pb
from score_api.v1 import score_service_pb2 as score_pb
from score_api.v1 import types_pb2 as types_pb
from score_service.domain.tokens.opaque_text import write_opaque


async def give(stubs: Stubs, user_id: str = "ada", points: int = 10, **changes: Any) -> score_pb.AwardResult:
    response = await stubs.score.AwardPoints(award_request(user_id=user_id, points=points, **changes))
    return response.result


async def list_awards(stubs: Stubs, **changes: Any) -> ledger_pb.ListAwardsResponse:
    return await stubs.ledger.ListAwards(ledger_pb.ListAwardsRequest(**({"board_id": "main"} | changes)))


async def test_an_award_is_listed_with_who_made_it_for_what_and_when(
    backend_stubs: Stubs, gateway_stubs: Stubs
) -> None:
    settings = board_pb.Board(board_id="main", periods=[types_pb.PERIOD_KIND_MONTH])
    await gateway_stubs.board.UpdateBoard(board_pb.UpdateBoardRequest(board=settings))
    await give(gateway_stubs, points=3)
    occurred_at = Timestamp()
    occurred_at.FromDatetime(datetime.now(UTC) - timedelta(seconds=60))
    request = award_request(points=7, action_type="quiz", action_id="quiz_9", occurred_at=occurred_at)
    request.trace_id = "0af7651916cd43dd8448eb211c80319c"
    made = (await backend_stubs.score.AwardPoints(request)).result

    newest, oldest = (await list_awards(backend_stubs)).awards

    assert (newest.award_id, newest.revision) == (made.award_id, made.revision)
    assert (newest.user_id, newest.points, newest.total) == ("ada", 7, 10)
    assert (newest.action_type, newest.action_id) == ("quiz", "quiz_9")
    assert (newest.caller, newest.trace_id) == (BACKEND_ID, request.trace_id)
    assert abs((datetime.now(UTC) - newest.recorded_at.ToDatetime(UTC)).total_seconds()) < 60
    assert newest.occurred_at.ToMicroseconds() == occurred_at.ToMicroseconds()
    assert len(newest.periods) == 1
    assert newest.periods[0].startswith("month:")
    assert not newest.HasField("reversal")
    assert (oldest.caller, oldest.points, oldest.HasField("occurred_at")) == (GATEWAY_ID, 3, False)


async def test_an_award_that_was_taken_back_has_its_reversal_at_once(backend_stubs: Stubs) -> None:
    kept, taken = await give(backend_stubs, points=3), await give(backend_stubs, points=7)
    assert len((await list_awards(backend_stubs)).awards) == 2
    reversal = (await backend_stubs.correction.ReverseAward(reversal_request(taken.award_id))).reversal

    newest, oldest = (await list_awards(backend_stubs)).awards

    listed = newest.reversal
    assert (newest.award_id, oldest.award_id) == (taken.award_id, kept.award_id)
    assert (listed.reversal_id, listed.revision) == (reversal.reversal_id, reversal.revision)
    assert (listed.reason, listed.actor) == ("a leaked answer", BACKEND_ID)
    assert not oldest.HasField("reversal")


async def test_pages_have_every_award_once_from_the_newest_back(backend_stubs: Stubs) -> None:
    made = [await give(backend_stubs, user_id) for user_id in ("ada", "bob") * 4]
    pages, token = list[list[str]](), ""
    while not pages or token:
        page = await list_awards(backend_stubs, page_size=3, page_token=token)
        pages.append([award.award_id for award in page.awards])
        token = page.next_page_token
        await give(backend_stubs, "eve")  # What comes later is on no later page.

    assert [len(page) for page in pages] == [3, 3, 2]
    assert [award_id for page in pages for award_id in page] == [award.award_id for award in made[::-1]]


async def test_the_awards_of_one_user_are_listed_alone(backend_stubs: Stubs) -> None:
    made = [await give(backend_stubs, user_id) for user_id in ("ada", "bob") * 3]
    first = await list_awards(backend_stubs, user_id="bob", page_size=2)
    second = await list_awards(backend_stubs, user_id="bob", page_size=2, page_token=first.next_page_token)

    listed = [award.revision for award in (*first.awards, *second.awards)]
    assert listed == [award.revision for award in made[:0:-2]]
    assert second.next_page_token == ""
    assert not (await list_awards(backend_stubs, user_id="nobody")).awards


async def test_a_board_that_there_is_not_is_not_found(backend_stubs: Stubs) -> None:
    rejection = await rejected(list_awards(backend_stubs))
    assert (rejection.code, rejection.reason) == (StatusCode.NOT_FOUND, "BOARD_NOT_FOUND")


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"board_id": ""}, {"board_id"}),
        ({"user_id": "a b", "page_size": -1}, {"user_id", "page_size"}),
        ({"page_token": "abc"}, {"page_token"}),
        ({"page_token": write_opaque("0")}, {"page_token"}),
        ({"page_token": write_opaque(str(2**63))}, {"page_token"}),
    ],
)
async def test_a_request_that_is_not_as_described_is_rejected_with_all_its_faults(
    backend_stubs: Stubs, changes: dict[str, Any], fields: set[str]
) -> None:
    rejection = await rejected(list_awards(backend_stubs, **changes))
    assert (rejection.code, set(rejection.fields)) == (StatusCode.INVALID_ARGUMENT, fields)


async def test_history_is_denied_to_whom_the_policy_does_not_name_for_it(
    score_service: ScoreService, connect: Connect, reader_certificate: CertificateFiles, backend_stubs: Stubs
) -> None:
    await give(backend_stubs)
    reader = connect(score_service, reader_certificate)
    assert (await rejected(list_awards(reader))).reason == "NOT_ALLOWED"
    assert (await rejected(list_awards(backend_stubs, board_id="not-mine"))).reason == "NOT_ALLOWED"
