"""Who is hidden is seen in no read and no stream by anyone else, whichever store answers.

Each method of the services that read boards has its place here, or the test of that fails.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from google.protobuf.message import Message
from tests.fixtures.ledgers.boards import PeriodBoards
from tests.fixtures.ledgers.corrections import visibility_request
from tests.fixtures.ledgers.periods import DAY, HOUR, MONDAY, Moment, save_settings
from tests.fixtures.servers.postgres import Login
from tests.fixtures.services.score_service import (
    Connect,
    ScoreService,
    StartScoreService,
    Stubs,
    award_request,
    rejected,
)

from local_stack.certificates import CertificateFiles
from score_api.v1 import board_service_pb2 as board_pb
from score_api.v1 import correction_service_pb2 as correction_pb
from score_api.v1 import leaderboard_service_pb2 as leaderboard_pb
from score_api.v1 import types_pb2 as types_pb
from score_service.domain.board.board_settings import BoardSettings
from score_service.record.periods import PeriodStore

HIDDEN, SHADOWED = correction_pb.VISIBILITY_HIDDEN, correction_pb.VISIBILITY_SHADOWED
MONDAYS: Final = "day:2026-11-30"
POINTS: Final = {"ada": 40, "bob": 30, "cyd": 20, "dan": 10}
"""Of the users, on Monday; `bob` is hidden afterwards. On Tuesday each has one point more."""
OTHERS: Final = ("ada", "cyd", "dan")
SCOPES: Final = ("all_time", "day", "week", MONDAYS)
"""For all time, in periods that are open, and in one that is final."""
Read = Callable[[Stubs, str], Awaitable[Message]]


async def watch(stubs: Stubs, scope: str, **wanted: Any) -> leaderboard_pb.WatchLeaderboardResponse:
    """Return the first message of a watch."""
    request = leaderboard_pb.WatchLeaderboardRequest(board_id="main", top_n=10, period=scope, **wanted)
    call = stubs.leaderboard.WatchLeaderboard(request, timeout=60)
    message = await anext(aiter(call))
    call.cancel()
    return message


def _asked(scope: str, **fields: Any) -> dict[str, Any]:
    return {"board_id": "main", "period": scope, **fields}


def _period(scope: str) -> str:
    return MONDAYS if scope == "all_time" else scope


READS: Final[dict[str, Read]] = {
    "LeaderboardService/GetStanding": lambda stubs, scope: stubs.leaderboard.GetStanding(
        leaderboard_pb.GetStandingRequest(**_asked(scope, user_id="cyd"))
    ),
    "LeaderboardService/BatchGetStandings": lambda stubs, scope: stubs.leaderboard.BatchGetStandings(
        leaderboard_pb.BatchGetStandingsRequest(**_asked(scope, user_ids=OTHERS))
    ),
    "LeaderboardService/ListStandings": lambda stubs, scope: stubs.leaderboard.ListStandings(
        leaderboard_pb.ListStandingsRequest(**_asked(scope))
    ),
    "LeaderboardService/ListStandingsAround": lambda stubs, scope: stubs.leaderboard.ListStandingsAround(
        leaderboard_pb.ListStandingsAroundRequest(**_asked(scope, user_id="cyd", radius=10))
    ),
    "LeaderboardService/WatchLeaderboard": watch,
    "BoardService/GetPeriod": lambda stubs, scope: stubs.board.GetPeriod(
        board_pb.GetPeriodRequest(board_id="main", period=_period(scope), winners=10)
    ),
    "BoardService/ListPeriods": lambda stubs, scope: stubs.board.ListPeriods(
        board_pb.ListPeriodsRequest(board_id="main", winners=10)
    ),
}
"""What shows standings of others, by method."""
WITHOUT_STANDINGS: Final = {
    "BoardService/GetBoard",
    "BoardService/ListBoards",
    "BoardService/UpdateBoard",
}


def parts_of(message: Message, kind: type[Message]) -> Iterator[Any]:
    """Find all messages of a kind in a message."""
    if isinstance(message, kind):
        yield message
    for field, found in message.ListFields():
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for part in found if field.is_repeated else [found]:
                yield from parts_of(part, kind)


@pytest.fixture(params=["cache", "record"])
async def stubs(
    request: pytest.FixtureRequest,
    start_score_service: StartScoreService,
    connect: Connect,
    backend_certificate: CertificateFiles,
    moment: Moment,
    free_port: Callable[[], int],
    redis_login: Login,
) -> Stubs:
    """Return stubs of a service on a Tuesday, whose Monday is final, which has Redis or has not."""
    address = urlsplit(redis_login.url).netloc.rpartition("@")[2]
    nobody = redis_login.url.replace(address, f"127.0.0.1:{free_port()}")
    changes = {} if request.param == "cache" else {"redis_url": nobody}
    moment.set(MONDAY + 12 * HOUR)
    service: ScoreService = await start_score_service(now=moment, **changes)
    parts, stubs = service.running.parts, connect(service, backend_certificate)
    store = PeriodStore(parts.database)
    board = PeriodBoards(parts.scoring, parts.boards, store, parts.projector, moment)
    await save_settings(parts.boards, settings=BoardSettings(periods=("day", "week")))
    for user_id, points in POINTS.items():
        await stubs.score.AwardPoints(award_request(user_id=user_id, points=points))
    moment.set(MONDAY + DAY + HOUR)
    await board.archive(MONDAYS)
    for user_id in POINTS:
        await stubs.score.AwardPoints(award_request(user_id=user_id, points=1))
    return stubs


async def set_visibility(stubs: Stubs, visibility: Any) -> int:
    answer = await stubs.correction.SetUserVisibility(visibility_request("bob", visibility))
    return answer.revision


async def eventually_seen(stubs: Stubs, revision: int) -> None:
    """Wait until answers that are kept for a moment are not given any more."""
    request = leaderboard_pb.ListStandingsRequest(board_id="main", min_revision=revision)
    await stubs.leaderboard.ListStandings(request)
    await asyncio.sleep(1.1)  # How long the record's answers are kept at most.


def test_every_method_that_reads_boards_has_its_place_here() -> None:
    services = (
        leaderboard_pb.DESCRIPTOR.services_by_name["LeaderboardService"],
        board_pb.DESCRIPTOR.services_by_name["BoardService"],
    )
    methods = {f"{service.name}/{method.name}" for service in services for method in service.methods}
    assert methods == READS.keys() | WITHOUT_STANDINGS


@pytest.mark.parametrize("visibility", [HIDDEN, SHADOWED], ids=["hidden", "shadowed"])
async def test_who_is_hidden_is_in_no_answer_to_anyone_else_and_counts_in_none_and_comes_back_whole(
    stubs: Stubs, visibility: Any
) -> None:
    await eventually_seen(stubs, await set_visibility(stubs, visibility))
    without = {(name, scope): await read(stubs, scope) for name, read in READS.items() for scope in SCOPES}
    await eventually_seen(stubs, await set_visibility(stubs, correction_pb.VISIBILITY_VISIBLE))
    whole = {(name, scope): await read(stubs, scope) for name, read in READS.items() for scope in SCOPES}

    for asked, answer in without.items():
        standings = list(parts_of(answer, types_pb.Standing))
        assert standings, asked
        assert {standing.user_id for standing in standings} <= set(OTHERS), asked
        assert not [standing for standing in standings if standing.hidden], asked
        ranks = {standing.user_id: standing.rank for standing in standings}
        assert ranks.items() <= {"ada": 1, "cyd": 2, "dan": 3}.items(), asked
        assert {period.entrants for period in parts_of(answer, types_pb.Period)} <= {3}, asked
    for asked, answer in whole.items():
        standings = list(parts_of(answer, types_pb.Standing))
        ranks = {standing.user_id: standing.rank for standing in standings}
        assert ranks.items() <= {"ada": 1, "bob": 2, "cyd": 3, "dan": 4}.items(), asked
        assert {period.entrants for period in parts_of(answer, types_pb.Period)} <= {4}, asked


async def own_standing(stubs: Stubs, scope: str) -> types_pb.Standing:
    request = leaderboard_pb.BatchGetStandingsRequest(**_asked(scope, user_ids=["bob", "ada"]))
    answer = await stubs.leaderboard.BatchGetStandings(request)
    (own,) = (standing for standing in answer.standings if standing.user_id == "bob")
    request_of_one = leaderboard_pb.GetStandingRequest(**_asked(scope, user_id="bob"))
    assert (await stubs.leaderboard.GetStanding(request_of_one)).standing == own
    return own


@pytest.mark.parametrize("scope", ["all_time", "day", "week"])
async def test_who_is_hidden_is_told_the_total_and_who_is_shadowed_also_the_rank_that_would_be(
    stubs: Stubs, scope: str
) -> None:
    around = leaderboard_pb.ListStandingsAroundRequest(**_asked(scope, user_id="bob", radius=1))
    before = await own_standing(stubs, scope)
    await eventually_seen(stubs, await set_visibility(stubs, HIDDEN))
    hidden = await own_standing(stubs, scope)
    unseen = await rejected(stubs.leaderboard.ListStandingsAround(around))
    await eventually_seen(stubs, await set_visibility(stubs, SHADOWED))
    shadowed = await own_standing(stubs, scope)
    neighbours = await stubs.leaderboard.ListStandingsAround(around)

    assert (hidden.total, hidden.hidden, hidden.HasField("rank")) == (before.total, True, False)
    assert unseen.reason == "STANDING_NOT_FOUND"
    assert (shadowed.total, shadowed.hidden, shadowed.rank) == (before.total, True, before.rank)
    assert [(row.user_id, row.rank, row.hidden) for row in neighbours.standings] == [
        ("ada", 1, False),
        ("bob", 2, True),
        ("cyd", 2, False),
    ]


async def test_a_watch_tells_nobody_but_the_user_of_what_a_hidden_user_collects(stubs: Stubs) -> None:
    await eventually_seen(stubs, await set_visibility(stubs, SHADOWED))
    request = leaderboard_pb.WatchLeaderboardRequest(board_id="main", top_n=10, all_scores=True)
    watching = stubs.leaderboard.WatchLeaderboard(request, timeout=60)
    messages = aiter(watching)
    assert [row.user_id for row in (await anext(messages)).snapshot.top] == list(OTHERS)

    made = (await stubs.score.AwardPoints(award_request(user_id="bob", points=100))).result
    scores, tops, is_cached = dict[str, types_pb.Standing](), list[types_pb.Standing](), False
    while "bob" not in scores:
        message = await anext(messages)
        scores |= {row.user_id: row for row in message.update.scores}
        tops += message.update.top
        is_cached = message.source == types_pb.SOURCE_CACHE
        assert message.revision <= made.revision
    watching.cancel()

    assert (scores["bob"].total, scores["bob"].hidden) == (131, True)
    assert scores["bob"].rank == (1 if is_cached else 0)  # The record tells a watch no ranks.
    assert "bob" not in {row.user_id for row in tops}
