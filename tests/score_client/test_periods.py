"""Periods in awards, reads and watches, and the settings of boards, against a scripted server."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode

from conformance.server.scripted import ScriptedServer, answer, play, reject
from score_api.v1 import board_service_pb2 as boards
from score_api.v1 import leaderboard_service_pb2 as leaderboards
from score_api.v1 import score_service_pb2 as scores
from score_api.v1 import types_pb2
from score_client import (
    BoardsView,
    BoardView,
    ClientCredentials,
    InvalidRequestError,
    LatePolicy,
    OccurredAtOutOfRangeError,
    Period,
    PeriodClosedError,
    PeriodKind,
    PeriodResult,
    PeriodState,
    PeriodsView,
    PeriodUnknownError,
    ScoreClient,
    Season,
    ServiceFaultError,
    Snapshot,
    Standing,
)

MONDAY = datetime(2026, 11, 30, tzinfo=UTC)
WEEK = Period(
    period_id="week:2026-W49",
    kind=PeriodKind.WEEK,
    starts_at=MONDAY,
    ends_at=MONDAY + timedelta(days=7),
    closes_at=MONDAY + timedelta(days=7, minutes=10),
    state=PeriodState.OPEN,
    next_starts_at=MONDAY + timedelta(days=7),
    entrants=3,
)
ADA = types_pb2.Standing(user_id="ada", total=30, rank=1, reached_revision=7)
ADA_VALUE = Standing(user_id="ada", total=30, rank=1, reached_revision=7)


def week(**changes: Any) -> types_pb2.Period:
    fields: dict[str, Any] = {
        "id": "week:2026-W49",
        "kind": types_pb2.PERIOD_KIND_WEEK,
        "starts_at": MONDAY,
        "ends_at": WEEK.ends_at,
        "closes_at": WEEK.closes_at,
        "state": types_pb2.PERIOD_STATE_OPEN,
        "next_starts_at": WEEK.next_starts_at,
        "entrants": 3,
    }
    return types_pb2.Period(**(fields | changes))


@pytest.fixture
async def client(server: ScriptedServer, credentials: ClientCredentials) -> AsyncIterator[ScoreClient]:
    async with ScoreClient(server.target, credentials=credentials) as client:
        yield client


def give(client: ScoreClient, occurred_at: Any) -> Awaitable[object]:
    return client.award(
        board_id="main", user_id="ada", points=1, action_type="t", action_id="a", occurred_at=occurred_at
    )


READS: list[tuple[str, type[Message], Callable[[ScoreClient], Awaitable[Any]]]] = [
    (
        "GetStanding",
        leaderboards.GetStandingResponse,
        lambda client: client.get_standing(board_id="main", user_id="ada", period="week"),
    ),
    (
        "BatchGetStandings",
        leaderboards.BatchGetStandingsResponse,
        lambda client: client.batch_get_standings(board_id="main", user_ids=["ada"], period="week"),
    ),
    (
        "ListStandings",
        leaderboards.ListStandingsResponse,
        lambda client: client.list_standings(board_id="main", period="week"),
    ),
    (
        "ListStandingsAround",
        leaderboards.ListStandingsAroundResponse,
        lambda client: client.list_standings_around(board_id="main", user_id="ada", period="week"),
    ),
]


@pytest.mark.parametrize(("method", "response", "read"), READS)
async def test_a_read_asks_for_a_period_and_is_told_which_one_it_got(
    server: ScriptedServer,
    client: ScoreClient,
    method: str,
    response: type[Message],
    read: Callable[[ScoreClient], Awaitable[Any]],
) -> None:
    server.script(method, answer(response(period=week())), answer(response()))

    assert (await read(client)).period == WEEK
    assert (await read(client)).period is None
    assert server.received[0].request.period == "week"


async def test_a_watch_goes_on_with_the_next_period(server: ScriptedServer, client: ScoreClient) -> None:
    first = leaderboards.Snapshot(top=[ADA], period=week())
    second = leaderboards.Snapshot(period=week(id="week:2026-W50"))
    server.script(
        "WatchLeaderboard",
        play(
            leaderboards.WatchLeaderboardResponse(snapshot=first, revision=7, position="7-00"),
            leaderboards.WatchLeaderboardResponse(snapshot=second, revision=7, position="7-00"),
        ),
    )

    events = client.watch(board_id="main", period="week")
    shown = [await anext(events), await anext(events)]
    await events.aclose()

    assert [event.period and event.period.period_id for event in shown if isinstance(event, Snapshot)] == [
        "week:2026-W49",
        "week:2026-W50",
    ]
    assert server.received[0].request.period == "week"


async def test_an_unknown_period_ends_reads_and_watches(server: ScriptedServer, client: ScoreClient) -> None:
    rejection = reject(StatusCode.NOT_FOUND, "PERIOD_UNKNOWN")

    async def reject_watch(request: Any, context: Any) -> AsyncIterator[Message | bytes]:
        yield await rejection(request, context)

    server.script("ListStandings", rejection)
    server.script("WatchLeaderboard", reject_watch)

    with pytest.raises(PeriodUnknownError):
        await client.list_standings(board_id="main", period="month")
    with pytest.raises(PeriodUnknownError):
        await anext(client.watch(board_id="main", period="month"))


async def test_a_period_without_a_next_one_has_none(server: ScriptedServer, client: ScoreClient) -> None:
    last = week()
    last.ClearField("next_starts_at")
    server.script("ListStandings", answer(leaderboards.ListStandingsResponse(period=last)))

    view = await client.list_standings(board_id="main", period="week")

    assert view.period is not None
    assert view.period.next_starts_at is None


@pytest.mark.parametrize("malformed", [{"state": 99}, {"kind": 0}, {"ends_at": Timestamp(seconds=1 << 60)}])
async def test_a_period_that_makes_no_sense_is_a_fault_of_the_service(
    server: ScriptedServer, client: ScoreClient, malformed: dict[str, Any]
) -> None:
    server.script("ListStandings", answer(leaderboards.ListStandingsResponse(period=week(**malformed))))

    with pytest.raises(ServiceFaultError):
        await client.list_standings(board_id="main", period="week")


async def test_an_award_says_when_it_happened(server: ScriptedServer, client: ScoreClient) -> None:
    result = scores.AwardResult(award_id=str(uuid4()), revision=1)
    server.script("AwardPoints", answer(scores.AwardPointsResponse(result=result)))
    half_past = datetime(2026, 11, 30, 1, 30, tzinfo=timezone(timedelta(hours=1)))

    await give(client, half_past)
    await give(client, None)

    told, untold = (call.request.award for call in server.received)
    assert told.occurred_at.ToDatetime(tzinfo=UTC) == half_past
    assert not untold.HasField("occurred_at")


@pytest.mark.parametrize("wrong", [datetime(2026, 11, 30), "2026-11-30", 0])  # noqa: DTZ001 - without a zone
async def test_a_time_without_a_zone_is_not_sent(client: ScoreClient, wrong: object) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await give(client, wrong)

    assert set(caught.value.fields) == {"award.occurred_at"}


async def test_a_late_award_and_one_out_of_range_are_told_apart(
    server: ScriptedServer, client: ScoreClient
) -> None:
    fields = {"award.occurred_at": "is in the future"}
    server.script(
        "AwardPoints",
        reject(StatusCode.FAILED_PRECONDITION, "PERIOD_CLOSED"),
        reject(StatusCode.INVALID_ARGUMENT, "OCCURRED_AT_OUT_OF_RANGE", fields=fields),
    )

    with pytest.raises(PeriodClosedError):
        await give(client, MONDAY)
    with pytest.raises(OccurredAtOutOfRangeError) as caught:
        await give(client, MONDAY)
    assert caught.value.fields == fields


RESULT = boards.PeriodResult(
    period=week(state=types_pb2.PERIOD_STATE_FINAL),
    winners=[ADA],
    digest=b"\x01" * 32,
    final_revision=9,
    entry_revision=10,
    time_zone="Europe/Berlin",
    zone_data_version="2026f",
    truncated=True,
)


def result_of(period: Period) -> PeriodResult:
    return PeriodResult(
        period=period,
        winners=(ADA_VALUE,),
        digest=b"\x01" * 32,
        final_revision=9,
        entry_revision=10,
        time_zone="Europe/Berlin",
        zone_data_version="2026f",
        truncated=True,
    )


async def test_periods_are_read_with_their_results(server: ScriptedServer, client: ScoreClient) -> None:
    server.script("GetPeriod", answer(boards.GetPeriodResponse(result=RESULT)))
    listed = boards.ListPeriodsResponse(results=[RESULT], next_page_token="more")
    server.script("ListPeriods", answer(listed))

    one = await client.get_period(board_id="main", period="week:previous", winners=1)
    page = await client.list_periods(board_id="main", kind=PeriodKind.WEEK, winners=3, page_size=5)
    await client.list_periods(board_id="main")

    assert one.period.state is PeriodState.FINAL
    assert page == PeriodsView(results=(result_of(one.period),), next_page_token="more")
    assert [call.request for call in server.received] == [
        boards.GetPeriodRequest(board_id="main", period="week:previous", winners=1),
        boards.ListPeriodsRequest(board_id="main", kind=types_pb2.PERIOD_KIND_WEEK, winners=3, page_size=5),
        boards.ListPeriodsRequest(board_id="main", page_size=50),
    ]


async def test_a_kind_of_periods_that_does_not_exist_is_not_sent(client: ScoreClient) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await client.list_periods(board_id="main", kind="year")  # type: ignore[arg-type]

    assert set(caught.value.fields) == {"kind"}


async def test_boards_are_read_with_their_settings(server: ScriptedServer, client: ScoreClient) -> None:
    sent: Any = {"starts_at": MONDAY, "ends_at": WEEK.ends_at, "review": timedelta(days=1)}
    grace: Any = timedelta(minutes=10)
    board = boards.Board(
        board_id="main",
        time_zone="Europe/Berlin",
        periods=[types_pb2.PERIOD_KIND_DAY, types_pb2.PERIOD_KIND_MONTH],
        seasons=[boards.Season(season_id="one", **sent)],
        grace=grace,
        late=boards.LATE_POLICY_REFUSE,
        keep=100,
        settings_revision=1,
        revision=4,
        position="4-00",
    )
    server.script("GetBoard", answer(boards.GetBoardResponse(board=board)))
    server.script("ListBoards", answer(boards.ListBoardsResponse(boards=[board], next_page_token="more")))

    view = await client.get_board(board_id="main")

    assert view == BoardView(
        board_id="main",
        time_zone="Europe/Berlin",
        periods=(PeriodKind.DAY, PeriodKind.MONTH),
        seasons=(Season(season_id="one", starts_at=MONDAY, ends_at=WEEK.ends_at, review=timedelta(days=1)),),
        grace=timedelta(minutes=10),
        late=LatePolicy.REFUSE,
        keep=100,
        settings_revision=1,
        revision=4,
        position="4-00",
    )
    assert await client.list_boards(page_size=1) == BoardsView(boards=(view,), next_page_token="more")
    assert [call.request for call in server.received] == [
        boards.GetBoardRequest(board_id="main"),
        boards.ListBoardsRequest(page_size=1),
    ]
