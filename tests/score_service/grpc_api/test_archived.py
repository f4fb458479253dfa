"""What callers are told of archived awards, over real mutual TLS and real stores."""

import asyncio
from typing import Any, TypeAlias

import pytest
from grpc import StatusCode
from tests.fixtures.ledgers.archiving import Archiving
from tests.fixtures.ledgers.corrections import reversal_request
from tests.fixtures.services.score_service import Rejection, Stubs, award_request, rejected

from score_api.v1 import ledger_service_pb2 as ledger_pb
from score_api.v1 import score_service_pb2 as score_pb

OLD = 3
"""Awards that are archived, each a commit of its own."""


@pytest.fixture
def requests() -> list[score_pb.AwardPointsRequest]:
    return [award_request(points=points) for points in range(1, OLD + 2)]


@pytest.fixture(params=["archived", "deleted"])
async def cut(
    request: pytest.FixtureRequest,
    backend_stubs: Stubs,
    archiving: Archiving,
    requests: list[score_pb.AwardPointsRequest],
) -> str:
    """Make the awards, and archive all but the last; return the position of the cut."""
    for old in requests[:OLD]:
        await backend_stubs.score.AwardPoints(old)
    position = await archiving.cut()
    if request.param == "deleted":
        await archiving.delete()
    await backend_stubs.score.AwardPoints(requests[OLD])
    return str(position)


Told: TypeAlias = tuple[StatusCode, str, dict[str, str]]


def told(rejection: Rejection) -> Told:
    return rejection.code, rejection.reason, rejection.metadata


async def test_an_archived_award_that_is_asked_for_again_was_made(
    backend_stubs: Stubs, requests: list[score_pb.AwardPointsRequest], cut: str
) -> None:
    again = await rejected(backend_stubs.score.AwardPoints(requests[1]))
    other = award_request(award_id=requests[1].award.award_id, user_id="ben", points=77)
    batch = await backend_stubs.score.BatchAwardPoints(
        score_pb.BatchAwardPointsRequest(requests=[requests[0], other, requests[OLD]])
    )

    assert told(again) == (StatusCode.ALREADY_EXISTS, "AWARD_ARCHIVED", {"revision": "2"})
    first, second, third = batch.items
    assert (first.error.reason, dict(first.error.metadata)) == ("AWARD_ARCHIVED", {"revision": "1"})
    assert (second.error.reason, dict(second.error.metadata)) == ("AWARD_ARCHIVED", {"revision": "2"})
    assert (third.result.points, third.result.total) == (OLD + 1, 10)


async def test_an_archived_award_is_told_apart_from_one_that_was_not_made(
    backend_stubs: Stubs, requests: list[score_pb.AwardPointsRequest], cut: str
) -> None:
    def get(award_id: str) -> Any:
        return backend_stubs.score.GetAward(score_pb.GetAwardRequest(board_id="main", award_id=award_id))

    old, unknown = requests[0].award.award_id, award_request().award.award_id
    archived = (StatusCode.OUT_OF_RANGE, "HISTORY_ARCHIVED", {"archived_position": cut})
    missing: Told = (StatusCode.NOT_FOUND, "AWARD_NOT_FOUND", {})

    assert told(await rejected(get(old))) == archived
    assert told(await rejected(get(unknown))) == missing
    reverse = backend_stubs.correction.ReverseAward
    assert told(await rejected(reverse(reversal_request(old)))) == archived
    assert told(await rejected(reverse(reversal_request(unknown)))) == missing
    assert (await get(requests[OLD].award.award_id)).result.points == OLD + 1


async def test_lists_end_at_the_cut_and_say_so(backend_stubs: Stubs, cut: str) -> None:
    async def list_awards(user_id: str = "") -> ledger_pb.ListAwardsResponse:
        return await backend_stubs.ledger.ListAwards(
            ledger_pb.ListAwardsRequest(board_id="main", user_id=user_id)
        )

    page = await list_awards()
    assert ([award.revision for award in page.awards], page.archived_revision) == ([OLD + 2], OLD)
    assert page.next_page_token == ""
    nobody = await list_awards("nobody")
    assert (list(nobody.awards), nobody.archived_revision) == ([], OLD)


async def test_a_feed_begins_at_the_cut_and_has_the_entry_that_made_it(
    backend_stubs: Stubs, cut: str
) -> None:
    def stream(after: str) -> Any:
        request = ledger_pb.StreamEntriesRequest(board_id="main", after_position=after)
        return aiter(backend_stubs.ledger.StreamEntries(request, timeout=60))

    told_position = (StatusCode.OUT_OF_RANGE, "HISTORY_ARCHIVED", {"archived_position": cut})
    assert told(await rejected(anext(stream("")))) == told_position
    entries = stream(cut)
    async with asyncio.timeout(60):
        first, second = await anext(entries), await anext(entries)
    assert (first.revision, first.archived.archived_position) == (OLD + 1, cut)
    assert (first.archived.archived_revision, first.archived.awards) == (OLD, OLD)
    assert (second.revision, second.award.points) == (OLD + 2, OLD + 1)
