"""Periods over real mutual TLS and real stores: awards, reads and watches while time goes on."""

import asyncio
import uuid
from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode
from tests.fixtures.ledgers.boards import PeriodBoards
from tests.fixtures.ledgers.periods import DAY, HOUR, MONDAY, Moment
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.score_service import (
    Connect,
    ScoreService,
    StartScoreService,
    Stubs,
    award_request,
    rejected,
)

from local_stack.certificates import CertificateFiles
from score_api.v1 import leaderboard_service_pb2 as leaderboard_pb
from score_api.v1 import score_service_pb2 as score_pb
from score_api.v1 import types_pb2 as types_pb
from score_service.domain.board.board_settings import BoardSettings, LatePolicy
from score_service.record.boards import BoardStore
from score_service.record.periods import PeriodStore

NOON = MONDAY + 12 * HOUR
TUESDAY = MONDAY + DAY
MONDAYS, TUESDAYS = "day:2026-11-30", "day:2026-12-01"
SECOND = timedelta(seconds=1)


def stamp(instant: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(instant)
    return timestamp


@pytest.fixture
async def service(start_score_service: StartScoreService, moment: Moment) -> ScoreService:
    """Return a service at noon of the Monday, and then at any time that the test sets."""
    moment.set(NOON)
    return await start_score_service(now=moment)


@pytest.fixture
async def board(service: ScoreService, moment: Moment) -> PeriodBoards:
    """Return the board `main`, which has days and weeks of UTC."""
    parts = service.running.parts
    store, periods = BoardStore(parts.database), PeriodStore(parts.database)
    board = PeriodBoards(parts.scoring, store, periods, parts.projector, moment)
    await board.configure(BoardSettings(periods=("day", "week")))
    return board


@pytest.fixture
def stubs(
    service: ScoreService, board: PeriodBoards, connect: Connect, backend_certificate: CertificateFiles
) -> Stubs:
    return connect(service, backend_certificate)


async def give(stubs: Stubs, user_id: str, points: int, **changes: Any) -> score_pb.AwardResult:
    response = await stubs.score.AwardPoints(award_request(user_id=user_id, points=points, **changes))
    return response.result


async def list_standings(stubs: Stubs, period: str, **fields: Any) -> leaderboard_pb.ListStandingsResponse:
    request = leaderboard_pb.ListStandingsRequest(board_id="main", period=period, **fields)
    return await stubs.leaderboard.ListStandings(request)


async def totals(stubs: Stubs, period: str) -> dict[str, int]:
    return {row.user_id: row.total for row in (await list_standings(stubs, period)).standings}


def reads_of(stubs: Stubs, period: str) -> list[Awaitable[object]]:
    """Make every call of the leaderboard on a period."""
    boards = stubs.leaderboard
    asked: dict[str, Any] = {"board_id": "main", "period": period}
    watch = leaderboard_pb.WatchLeaderboardRequest(top_n=1, **asked)
    return [
        boards.GetStanding(leaderboard_pb.GetStandingRequest(user_id="ada", **asked)),
        boards.BatchGetStandings(leaderboard_pb.BatchGetStandingsRequest(user_ids=["ada"], **asked)),
        boards.ListStandings(leaderboard_pb.ListStandingsRequest(**asked)),
        boards.ListStandingsAround(leaderboard_pb.ListStandingsAroundRequest(user_id="ada", **asked)),
        anext(aiter(boards.WatchLeaderboard(watch, timeout=20))),
    ]


async def test_an_award_counts_in_the_periods_of_its_time(stubs: Stubs, moment: Moment) -> None:
    await give(stubs, "ada", 5)
    moment.set(TUESDAY)
    made = await give(stubs, "ada", 7)

    assert (made.total, made.rank) == (12, 1)
    assert await totals(stubs, "day") == {"ada": 7}
    assert await totals(stubs, MONDAYS) == {"ada": 5}
    assert await totals(stubs, "week") == await totals(stubs, "all_time") == {"ada": 12}


async def test_every_read_says_which_period_it_shows(stubs: Stubs) -> None:
    await give(stubs, "ada", 5)
    day = types_pb.Period(
        id=MONDAYS,
        kind=types_pb.PERIOD_KIND_DAY,
        starts_at=stamp(MONDAY),
        ends_at=stamp(TUESDAY),
        closes_at=stamp(TUESDAY + timedelta(minutes=10)),
        state=types_pb.PERIOD_STATE_OPEN,
        next_starts_at=stamp(TUESDAY),
        entrants=1,
    )

    *answers, first = [await call for call in reads_of(stubs, "day")]
    *all_time, first_of_all_time = [await call for call in reads_of(stubs, "")]

    assert [answer.period for answer in (*answers, first.snapshot)] == [day] * 5  # type: ignore[attr-defined]
    for answer in (*all_time, first_of_all_time.snapshot):  # type: ignore[attr-defined]
        assert not answer.HasField("period")


@pytest.mark.parametrize("period", ["month", "season", TUESDAYS, "day:2026-11-29", "week:previous"])
async def test_a_period_that_is_not_there_is_not_found_by_any_read(stubs: Stubs, period: str) -> None:
    await give(stubs, "ada", 5)
    for call in reads_of(stubs, period):
        error = await rejected(call)
        assert (error.code, error.reason) == (StatusCode.NOT_FOUND, "PERIOD_UNKNOWN")


async def test_what_names_no_period_is_rejected_by_every_read(stubs: Stubs) -> None:
    for call in reads_of(stubs, "fortnight"):
        error = await rejected(call)
        assert (error.code, error.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
        assert set(error.fields) == {"period"}


async def test_a_period_of_a_board_that_is_not_there_is_a_board_that_is_not_found(stubs: Stubs) -> None:
    request = leaderboard_pb.ListStandingsRequest(board_id="season-9", period="day")
    error = await rejected(stubs.leaderboard.ListStandings(request))
    assert (error.code, error.reason) == (StatusCode.NOT_FOUND, "BOARD_NOT_FOUND")


async def test_a_final_period_comes_from_the_record_as_it_was(
    stubs: Stubs, board: PeriodBoards, moment: Moment
) -> None:
    for user, points in (("ada", 5), ("bob", 9), ("cy", 5)):
        await give(stubs, user, points)
    before = await list_standings(stubs, MONDAYS)
    moment.set(TUESDAY + HOUR)
    await board.close(MONDAYS)
    made = await give(stubs, "dan", 50)

    for period in (MONDAYS, "day:previous"):
        after = await list_standings(stubs, period, min_revision=made.revision)
        assert list(after.standings) == list(before.standings)
        assert (after.source, after.position) == (types_pb.SOURCE_RECORD, made.position)
        assert (after.period.state, after.period.entrants) == (types_pb.PERIOD_STATE_FINAL, 3)
    batch = leaderboard_pb.BatchGetStandingsRequest(
        board_id="main", user_ids=["cy", "dan", "bob"], period=MONDAYS
    )
    found = await stubs.leaderboard.BatchGetStandings(batch)
    assert [(row.user_id, row.rank) for row in found.standings] == [("cy", 3), ("bob", 1)]
    assert before.source == types_pb.SOURCE_CACHE


async def test_pages_of_a_period_go_on_after_it_has_ended(
    stubs: Stubs, board: PeriodBoards, moment: Moment
) -> None:
    for user, points in (("ada", 5), ("bob", 9), ("cy", 4)):
        await give(stubs, user, points)
    first = await list_standings(stubs, "day", page_size=1)
    moment.set(TUESDAY + HOUR)
    await give(stubs, "dan", 50)
    second = await list_standings(stubs, "day", page_size=1, page_token=first.next_page_token)
    await board.close(MONDAYS)
    third = await list_standings(stubs, "day", page_size=1, page_token=second.next_page_token)
    error = await rejected(list_standings(stubs, "week", page_token=first.next_page_token))

    assert [page.standings[0].user_id for page in (first, second, third)] == ["bob", "ada", "cy"]
    assert {page.period.id for page in (first, second, third)} == {MONDAYS}
    assert not third.next_page_token
    assert (error.code, set(error.fields)) == (StatusCode.INVALID_ARGUMENT, {"page_token"})


async def test_a_revision_of_a_period_that_is_not_reached_is_unavailable(stubs: Stubs) -> None:
    made = await give(stubs, "ada", 5)
    reached = await list_standings(stubs, "day", min_revision=made.revision)
    error = await rejected(list_standings(stubs, "day", min_revision=2**62))

    assert reached.revision == made.revision
    assert (error.code, error.reason) == (StatusCode.UNAVAILABLE, "PROJECTION_UNAVAILABLE")


async def test_a_watch_turns_over_on_the_same_stream(stubs: Stubs, moment: Moment) -> None:
    await give(stubs, "ada", 5)
    request = leaderboard_pb.WatchLeaderboardRequest(board_id="main", top_n=10, all_scores=True, period="day")
    messages = aiter(stubs.leaderboard.WatchLeaderboard(request, timeout=60))
    first = await anext(messages)
    moment.set(TUESDAY)
    second, third = await anext(messages), await anext(messages)
    made = await give(stubs, "bob", 3)
    fourth = await anext(messages)

    assert [message.snapshot.period.id for message in (first, second)] == [MONDAYS, TUESDAYS]
    assert not second.snapshot.reset
    assert (list(second.snapshot.top), second.position) == ([], first.position)
    assert (third.WhichOneof("message"), third.position) == ("checkpoint", first.position)
    assert [row.user_id for row in fourth.update.scores] == ["bob"]
    assert fourth.position == made.position


@pytest.mark.parametrize(
    ("happened", "is_taken"),
    [
        (NOON - DAY, True),
        (NOON - DAY - timedelta(microseconds=1), False),
        (NOON + 5 * SECOND, True),
        (NOON + 5 * SECOND + timedelta(microseconds=1), False),
    ],
)
async def test_an_award_may_have_happened_as_long_ago_as_the_policy_says_and_not_in_the_future(
    stubs: Stubs, happened: datetime, *, is_taken: bool
) -> None:
    call = stubs.score.AwardPoints(award_request(occurred_at=stamp(happened)))
    if is_taken:
        assert (await call).result.revision == 2
        return
    error = await rejected(call)
    assert (error.code, error.reason) == (StatusCode.INVALID_ARGUMENT, "OCCURRED_AT_OUT_OF_RANGE")
    assert set(error.fields) == {"award.occurred_at"}


async def test_who_may_not_date_back_may_not_say_when_an_award_happened(
    service: ScoreService, board: PeriodBoards, connect: Connect, gateway_certificate: CertificateFiles
) -> None:
    gateway = connect(service, gateway_certificate)
    error = await rejected(gateway.score.AwardPoints(award_request(occurred_at=stamp(NOON))))
    assert (error.reason, error.fields) == (
        "OCCURRED_AT_OUT_OF_RANGE",
        {"award.occurred_at": "is not for this caller to say"},
    )


async def test_an_award_of_a_batch_that_happened_too_long_ago_fails_alone(stubs: Stubs) -> None:
    requests = [
        award_request(user_id="ada", occurred_at=stamp(NOON - HOUR)),
        award_request(user_id="bob", occurred_at=stamp(NOON - 2 * DAY)),
        award_request(user_id="cy"),
        award_request(user_id="dan", occurred_at=Timestamp(nanos=-1)),
    ]
    response = await stubs.score.BatchAwardPoints(score_pb.BatchAwardPointsRequest(requests=requests))

    reasons = [item.error.reason for item in response.items]
    assert reasons == ["", "OCCURRED_AT_OUT_OF_RANGE", "", "INVALID_FIELD"]
    assert dict(response.items[1].error.fields) == {"award.occurred_at": "must be at most 86400 s ago"}
    assert await totals(stubs, "day") == {"ada": 10, "cy": 10}


async def test_a_retry_that_comes_after_the_time_allowed_gets_the_first_answer(
    stubs: Stubs, moment: Moment
) -> None:
    request = award_request(occurred_at=stamp(NOON - HOUR))
    first = await stubs.score.AwardPoints(request)
    moment.set(NOON + 2 * DAY)
    again = await stubs.score.AwardPoints(request)
    other = score_pb.AwardPointsRequest(award=request.award, request_id=str(uuid.uuid4()))
    batch = await stubs.score.BatchAwardPoints(score_pb.BatchAwardPointsRequest(requests=[other]))
    request.award.points += 1
    conflict = await rejected(stubs.score.AwardPoints(request))

    assert again == first
    assert batch.items[0].result.replayed
    assert batch.items[0].result.revision == first.result.revision
    assert conflict.reason == "AWARD_CONFLICT"


async def test_a_late_award_is_rejected_where_the_board_says_so_and_its_retry_as_well(
    stubs: Stubs, board: PeriodBoards, moment: Moment
) -> None:
    await board.configure(BoardSettings(periods=("day",), late=LatePolicy.REFUSE))
    await give(stubs, "ada", 5)
    moment.set(TUESDAY + timedelta(minutes=10))
    request = award_request(user_id="bob", occurred_at=stamp(TUESDAY - SECOND))

    for _ in range(2):
        error = await rejected(stubs.score.AwardPoints(request))
        assert (error.code, error.reason) == (StatusCode.FAILED_PRECONDITION, "PERIOD_CLOSED")
    batch = await stubs.score.BatchAwardPoints(
        score_pb.BatchAwardPointsRequest(requests=[request, award_request(user_id="cy")])
    )
    assert [item.error.reason for item in batch.items] == ["PERIOD_CLOSED", ""]


async def test_awards_at_the_end_of_a_day_each_count_in_one_day(stubs: Stubs, moment: Moment) -> None:
    await give(stubs, "user0", 1)
    moment.set(TUESDAY - SECOND)
    calls = [asyncio.create_task(give(stubs, f"user{n % 7}", 1)) for n in range(100)]
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    moment.set(TUESDAY)
    calls += [asyncio.create_task(give(stubs, f"user{n % 7}", 1)) for n in range(100)]
    await asyncio.gather(*calls)

    async def is_projected() -> bool:
        return (await list_standings(stubs, "day")).source == types_pb.SOURCE_CACHE

    await eventually(is_projected)
    days = [await totals(stubs, period) for period in (MONDAYS, TUESDAYS)]
    assert sum(days[0].values()) + sum(days[1].values()) == 201
    assert sum(days[1].values()) >= 100
    assert sum((await totals(stubs, "week")).values()) == 201
