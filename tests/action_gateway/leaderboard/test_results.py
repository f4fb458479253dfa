"""Results of periods, read once for all who ask."""

import asyncio

import pytest
from structlog.testing import capture_logs

from action_gateway.leaderboard.results import Results
from score_client.errors import (
    BoardNotFoundError,
    NotAllowedError,
    ScoreClientError,
    ServiceFaultError,
    UnavailableError,
)
from score_client.types import PeriodKind, PeriodsView


class ScriptedResults:
    """Answers when a test lets it, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[PeriodKind | None, int]] = []
        self.error: ScoreClientError | None = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def list_periods(
        self, *, board_id: str, kind: PeriodKind | None, winners: int, page_size: int
    ) -> PeriodsView:
        assert (board_id, winners) == ("main", 3)
        self.asked.append((kind, page_size))
        await self.may_answer.wait()
        if self.error:
            raise self.error
        return PeriodsView(results=(), next_page_token="")


@pytest.fixture
def source() -> ScriptedResults:
    return ScriptedResults()


@pytest.fixture
def results(source: ScriptedResults) -> Results:
    return Results(source, "main")


async def test_who_asks_while_a_list_is_read_shares_it(source: ScriptedResults, results: Results) -> None:
    source.may_answer.clear()
    asking = [asyncio.create_task(results.list_results(PeriodKind.DAY, 2)) for _ in range(50)]
    while not source.asked:  # noqa: ASYNC110 - the tasks begin in their own time
        await asyncio.sleep(0)
    asking[0].cancel()
    source.may_answer.set()
    answers = await asyncio.gather(*asking[1:])
    assert [len(answer) for answer in answers] == [0] * 49
    assert source.asked == [(PeriodKind.DAY, 2)]


async def test_a_list_is_read_again_after_a_while(
    source: ScriptedResults, results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("action_gateway.leaderboard.results._KEPT_SECONDS", 0.01)
    async with asyncio.timeout(60):
        while len(source.asked) < 3:
            await results.list_results(None, 10)
            await asyncio.sleep(0)


async def test_each_kind_and_length_is_a_list_of_its_own(source: ScriptedResults, results: Results) -> None:
    for question in ((None, 1), (PeriodKind.DAY, 1), (PeriodKind.DAY, 2), (None, 1)):
        await results.list_results(*question)
    assert source.asked == [(None, 1), (PeriodKind.DAY, 1), (PeriodKind.DAY, 2)]


async def test_a_failure_is_not_kept(source: ScriptedResults, results: Results) -> None:
    source.error = UnavailableError("UNAVAILABLE", "unavailable")
    with pytest.raises(UnavailableError):
        await results.list_results(None, 1)
    source.error = None
    assert await results.list_results(None, 1) == ()


async def test_a_board_without_awards_has_no_results(source: ScriptedResults, results: Results) -> None:
    source.error = BoardNotFoundError("BOARD_NOT_FOUND", "none")
    assert await results.list_results(None, 1) == ()


@pytest.mark.parametrize(
    "error", [NotAllowedError("NOT_ALLOWED", "no"), ServiceFaultError("UNIMPLEMENTED", "no")]
)
async def test_a_score_service_that_does_not_list_them_is_noted(
    source: ScriptedResults, results: Results, error: ScoreClientError
) -> None:
    source.error = error
    with capture_logs() as logs:
        assert await results.list_results(None, 1) == ()
    assert [(line["event"], line["reason"]) for line in logs] == [("periods_not_listed", error.reason)]
