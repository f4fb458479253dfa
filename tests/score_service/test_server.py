from tests.fixtures.score_service import Stubs, award_request


async def test_an_award_is_answered(backend_stubs: Stubs) -> None:
    response = await backend_stubs.score.AwardPoints(award_request())
    assert response.result.total == 10
    assert response.result.rank == 1
