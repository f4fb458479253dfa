"""The client as a caller's type checker sees it. This file is never run."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_type
from uuid import uuid4

from score_client import (
    AwardResult,
    BoardView,
    CertificateStatus,
    Checkpoint,
    ClientCredentials,
    InvalidRequestError,
    Period,
    PeriodKind,
    PeriodResult,
    QuotaExceededError,
    ScoreClient,
    Season,
    Snapshot,
    Source,
    Standing,
    StandingsView,
    StandingView,
    UnavailableError,
    Update,
    WatchEvent,
)


async def calls() -> None:
    credentials = ClientCredentials("ca.pem", Path("backend.pem"), "backend-key.pem")
    async with ScoreClient("dns:///localhost:50051", credentials=credentials, timeout=5) as client:
        assert_type(client, ScoreClient)
        assert_type(client.certificate_status(), CertificateStatus)
        result = await client.award(
            board_id="main",
            user_id="ada",
            points=10,
            action_type="puzzle",
            action_id="puzzle_123",
            award_id=uuid4(),
            occurred_at=datetime.now(UTC),
            timeout=1,
        )
        assert_type(result, AwardResult)
        assert_type(result.rank, int | None)
        assert_type(await client.get_award(board_id="main", award_id=result.award_id), AwardResult)
        view = await client.get_standing(board_id="main", user_id="ada", min_revision=result.revision)
        assert_type(view, StandingView)
        assert_type(view.source, Source)
        friends = await client.batch_get_standings(board_id="main", user_ids=["ada", "ben"])
        assert_type(friends, StandingsView)
        assert_type(friends.standings, tuple[Standing, ...])
        assert_type(
            await client.list_standings(board_id="main", page_token=friends.next_page_token), StandingsView
        )
        assert_type(
            await client.list_standings_around(board_id="main", user_id="ada", radius=5), StandingsView
        )
        season = await client.list_standings(board_id="main", period="season:previous")
        assert_type(season.period, Period | None)
        periods = await client.list_periods(board_id="main", kind=PeriodKind.DAY, winners=3)
        assert_type(periods.results, tuple[PeriodResult, ...])
        board = await client.get_board(board_id="main")
        assert_type(board, BoardView)
        assert_type(board.seasons, tuple[Season, ...])
        await client.award("main", "ada", 10, "puzzle", "p1")  # type: ignore[call-arg]
        result.points = 11  # type: ignore[misc]


async def events(client: ScoreClient) -> None:
    watch = client.watch(board_id="main", user_ids={"ada"})
    async for event in watch:
        assert_type(event, WatchEvent)
        match event:
            case Snapshot():
                assert_type(event.reset, bool)
            case Update():
                assert_type(event.top, tuple[Standing, ...] | None)
            case Checkpoint():
                assert_type(event.position, str)
    await watch.aclose()


def iterator(client: ScoreClient) -> AsyncIterator[WatchEvent]:
    return client.watch(board_id="main", all_scores=True)


def failures(error: InvalidRequestError | QuotaExceededError | UnavailableError) -> float | None:
    if isinstance(error, InvalidRequestError):
        assert_type(error.fields, dict[str, str])
        return None
    return assert_type(error.retry_after, float | None)
