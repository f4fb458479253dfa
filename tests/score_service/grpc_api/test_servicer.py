"""The two services over real mutual TLS and real stores: what they answer, and what they reject."""

import asyncio
import json
import sys
import uuid
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc import StatusCode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fixtures.servers.postgres import Database
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
from score_api.v1 import board_service_pb2 as board_pb
from score_api.v1 import correction_service_pb2 as correction_pb
from score_api.v1 import leaderboard_service_pb2 as leaderboard_pb
from score_api.v1 import ledger_service_pb2 as ledger_pb
from score_api.v1 import score_service_pb2 as score_pb
from score_api.v1 import types_pb2 as types_pb


async def give(stubs: Stubs, user_id: str, points: int, **changes: Any) -> score_pb.AwardResult:
    response = await stubs.score.AwardPoints(award_request(user_id=user_id, points=points, **changes))
    return response.result


def reads_of(stubs: Stubs, board_id: str) -> list[Awaitable[object]]:
    """Make every call of the leaderboard on a board."""
    boards = stubs.leaderboard
    watch = leaderboard_pb.WatchLeaderboardRequest(board_id=board_id, top_n=1)
    return [
        boards.GetStanding(leaderboard_pb.GetStandingRequest(board_id=board_id, user_id="ada")),
        boards.BatchGetStandings(
            leaderboard_pb.BatchGetStandingsRequest(board_id=board_id, user_ids=["ada"])
        ),
        boards.ListStandings(leaderboard_pb.ListStandingsRequest(board_id=board_id)),
        boards.ListStandingsAround(
            leaderboard_pb.ListStandingsAroundRequest(board_id=board_id, user_id="ada")
        ),
        anext(aiter(boards.WatchLeaderboard(watch))),
    ]


async def test_an_award_is_answered_with_its_place_in_the_ledger(backend_stubs: Stubs) -> None:
    first = await give(backend_stubs, "ada", 10)
    second = await give(backend_stubs, "bob", 25)
    third = await give(backend_stubs, "ada", 10)
    assert [result.revision for result in (first, second, third)] == [1, 2, 3]
    assert [result.total for result in (first, second, third)] == [10, 25, 20]
    assert [result.rank for result in (first, second, third)] == [1, 1, 2]
    assert first.position.startswith("1-")
    assert not any(result.replayed for result in (first, second, third))


async def test_the_same_request_again_is_the_first_answer_again(backend_stubs: Stubs) -> None:
    request = award_request()
    first = await backend_stubs.score.AwardPoints(request)
    assert await backend_stubs.score.AwardPoints(request) == first


async def test_an_award_is_counted_once_however_often_its_request_is_sent(
    score_service: ScoreService, backend_stubs: Stubs
) -> None:
    request = award_request(points=7)
    for _ in range(3):
        await backend_stubs.score.AwardPoints(request)
    assert await score_service.metric("laurel_awards_total") == 1
    assert await score_service.metric("laurel_awarded_points_total") == 7
    assert await score_service.metric("laurel_award_replays_total") == 0


async def test_another_request_for_the_same_award_is_a_replay_of_the_first(
    score_service: ScoreService, backend_stubs: Stubs
) -> None:
    award_id = str(uuid.uuid4())
    first = await give(backend_stubs, "ada", 10, award_id=award_id)
    await give(backend_stubs, "bob", 25)
    again = await give(backend_stubs, "ada", 10, award_id=award_id)
    assert again.replayed
    assert again.rank == 2
    again.ClearField("replayed")
    again.rank = first.rank
    assert again == first
    assert await score_service.metric("laurel_awards_total") == 2
    assert await score_service.metric("laurel_awarded_points_total") == 35
    assert await score_service.metric("laurel_award_replays_total") == 1


async def test_a_request_without_id_is_taken_for_another_one(backend_stubs: Stubs) -> None:
    request = award_request(request_id="")
    assert not (await backend_stubs.score.AwardPoints(request)).result.replayed
    assert (await backend_stubs.score.AwardPoints(request)).result.replayed


@pytest.mark.parametrize("change", [{"user_id": "eve"}, {"points": 11}, {"action_id": "puzzle_2"}])
async def test_an_award_id_used_for_something_else_is_a_conflict(
    backend_stubs: Stubs, change: dict[str, Any]
) -> None:
    award_id = str(uuid.uuid4())
    await backend_stubs.score.AwardPoints(award_request(award_id=award_id))
    again = award_request(award_id=award_id, **change)
    error = await rejected(backend_stubs.score.AwardPoints(again))
    assert (error.code, error.reason) == (StatusCode.ALREADY_EXISTS, "AWARD_CONFLICT")


async def test_a_batch_has_the_result_of_each_award_in_order_and_a_bad_one_fails_alone_and_is_counted(
    score_service: ScoreService, backend_stubs: Stubs
) -> None:
    first = award_request(user_id="ada", points=5)
    requests = [
        first,
        award_request(user_id="bob", points=9),
        award_request(points=0),
        award_request(board_id="not-mine"),
        award_request(points=1001),
        award_request(award_id=first.award.award_id, user_id="bob"),
        award_request(award_id=first.award.award_id, user_id="ada", points=5),
    ]

    response = await backend_stubs.score.BatchAwardPoints(score_pb.BatchAwardPointsRequest(requests=requests))

    items = list(response.items)
    assert [item.error.reason for item in items] == [
        "",
        "",
        "INVALID_FIELD",
        "NOT_ALLOWED",
        "NOT_ALLOWED",
        "AWARD_CONFLICT",
        "",
    ]
    assert [item.error.code for item in items[2:6]] == [
        code.value[0]
        for code in (
            StatusCode.INVALID_ARGUMENT,
            StatusCode.PERMISSION_DENIED,
            StatusCode.PERMISSION_DENIED,
            StatusCode.ALREADY_EXISTS,
        )
    ]
    assert dict(items[2].error.fields) == {"award.points": "must be 1 to 1000000"}
    results = [items[0].result, items[1].result, items[6].result]
    assert [(r.revision, r.total, r.rank, r.replayed) for r in results] == [
        (1, 5, 2, False),
        (2, 9, 1, False),
        (1, 5, 2, True),
    ]
    reasons = ("INVALID_FIELD", "NOT_ALLOWED", "AWARD_CONFLICT", "INTERNAL")
    name = "laurel_batch_item_errors_total"
    assert [await score_service.metric(name, reason=reason) for reason in reasons] == [1, 2, 1, 0]


async def test_a_batch_without_awards_too_large_or_on_too_many_boards_is_rejected_whole(
    gateway_stubs: Stubs,
) -> None:
    for requests in (
        [],
        [award_request() for _ in range(1001)],
        [award_request(board_id=f"board-{n}") for n in range(17)],
    ):
        batch = score_pb.BatchAwardPointsRequest(requests=requests)
        error = await rejected(gateway_stubs.score.BatchAwardPoints(batch))
        assert (error.code, list(error.fields)) == (StatusCode.INVALID_ARGUMENT, ["requests"])


async def test_a_whole_batch_of_a_thousand_on_sixteen_boards_is_made(gateway_stubs: Stubs) -> None:
    requests = [award_request(board_id=f"board-{n % 16}", user_id=f"user-{n % 7}") for n in range(1000)]

    response = await gateway_stubs.score.BatchAwardPoints(score_pb.BatchAwardPointsRequest(requests=requests))

    assert [item.result.award_id for item in response.items] == [r.award.award_id for r in requests]
    assert sum(item.result.points for item in response.items) == 10_000


async def test_an_award_can_be_asked_for_later(backend_stubs: Stubs) -> None:
    made = await give(backend_stubs, "ada", 10)
    request = score_pb.GetAwardRequest(board_id="main", award_id=made.award_id)
    found = (await backend_stubs.score.GetAward(request)).result
    assert found.replayed
    found.replayed = False
    assert found == made


async def test_an_award_that_was_never_made_is_not_found(backend_stubs: Stubs) -> None:
    request = score_pb.GetAwardRequest(board_id="main", award_id=str(uuid.uuid4()))
    error = await rejected(backend_stubs.score.GetAward(request))
    assert (error.code, error.reason) == (StatusCode.NOT_FOUND, "AWARD_NOT_FOUND")


async def test_reads_agree_on_a_board(backend_stubs: Stubs) -> None:
    for user_id, points in (("ada", 10), ("bob", 30), ("cy", 20)):
        last = await give(backend_stubs, user_id, points)
    boards = backend_stubs.leaderboard
    page = await boards.ListStandings(leaderboard_pb.ListStandingsRequest(board_id="main", page_size=2))
    assert [(row.user_id, row.total, row.rank) for row in page.standings] == [("bob", 30, 1), ("cy", 20, 2)]
    assert (page.revision, page.position, page.source) == (3, last.position, types_pb.SOURCE_CACHE)
    rest = await boards.ListStandings(
        leaderboard_pb.ListStandingsRequest(board_id="main", page_size=2, page_token=page.next_page_token)
    )
    assert [row.user_id for row in rest.standings] == ["ada"]
    assert not rest.next_page_token
    one = await boards.GetStanding(leaderboard_pb.GetStandingRequest(board_id="main", user_id="cy"))
    assert one.standing == page.standings[1]
    many = await boards.BatchGetStandings(
        leaderboard_pb.BatchGetStandingsRequest(board_id="main", user_ids=["cy", "nobody", "bob"])
    )
    assert list(many.standings) == [page.standings[1], page.standings[0]]
    around = await boards.ListStandingsAround(
        leaderboard_pb.ListStandingsAroundRequest(board_id="main", user_id="cy", radius=1)
    )
    assert [row.user_id for row in around.standings] == ["bob", "cy", "ada"]


async def test_a_board_without_awards_is_not_found_by_any_read(backend_stubs: Stubs) -> None:
    for call in reads_of(backend_stubs, "main"):
        error = await rejected(call)
        assert (error.code, error.reason) == (StatusCode.NOT_FOUND, "BOARD_NOT_FOUND")


async def test_a_user_without_awards_has_no_standing(backend_stubs: Stubs) -> None:
    await give(backend_stubs, "ada", 10)
    boards = backend_stubs.leaderboard
    one = leaderboard_pb.GetStandingRequest(board_id="main", user_id="bob")
    around = leaderboard_pb.ListStandingsAroundRequest(board_id="main", user_id="bob", radius=1)
    for call in (boards.GetStanding(one), boards.ListStandingsAround(around)):
        error = await rejected(call)
        assert (error.code, error.reason) == (StatusCode.NOT_FOUND, "STANDING_NOT_FOUND")
    many = leaderboard_pb.BatchGetStandingsRequest(board_id="main", user_ids=["bob"])
    assert not (await boards.BatchGetStandings(many)).standings


async def test_a_revision_that_is_not_reached_is_unavailable(backend_stubs: Stubs) -> None:
    made = await give(backend_stubs, "ada", 10)
    boards = backend_stubs.leaderboard
    reached = leaderboard_pb.ListStandingsRequest(board_id="main", min_revision=made.revision)
    assert (await boards.ListStandings(reached)).revision == made.revision
    ahead = leaderboard_pb.ListStandingsRequest(board_id="main", min_revision=2**62)
    error = await rejected(boards.ListStandings(ahead))
    assert (error.code, error.reason) == (StatusCode.UNAVAILABLE, "PROJECTION_UNAVAILABLE")


async def test_a_page_token_of_ones_own_is_rejected(backend_stubs: Stubs) -> None:
    await give(backend_stubs, "ada", 10)
    request = leaderboard_pb.ListStandingsRequest(board_id="main", page_token="mine")
    error = await rejected(backend_stubs.leaderboard.ListStandings(request))
    assert (error.code, set(error.fields)) == (StatusCode.INVALID_ARGUMENT, {"page_token"})


async def test_a_watch_begins_with_the_top_and_goes_on_with_what_changes(backend_stubs: Stubs) -> None:
    await give(backend_stubs, "ada", 10)
    request = leaderboard_pb.WatchLeaderboardRequest(board_id="main", top_n=10, all_scores=True)
    messages = aiter(backend_stubs.leaderboard.WatchLeaderboard(request, timeout=20))
    first = await anext(messages)
    assert first.WhichOneof("message") == "snapshot"
    assert [row.user_id for row in first.snapshot.top] == ["ada"]
    assert not first.snapshot.reset
    made = await give(backend_stubs, "bob", 20)
    second = await anext(messages)
    assert second.WhichOneof("message") == "update"
    assert [row.user_id for row in second.update.top] == ["bob", "ada"]
    assert [row.user_id for row in second.update.scores] == ["bob"]
    assert (second.revision, second.position) == (made.revision, made.position)


async def test_watchers_are_counted_while_they_watch(
    score_service: ScoreService, backend_stubs: Stubs
) -> None:
    await give(backend_stubs, "ada", 10)
    request = leaderboard_pb.WatchLeaderboardRequest(board_id="main", top_n=10)
    watch = backend_stubs.leaderboard.WatchLeaderboard(request)
    await anext(aiter(watch))
    assert await score_service.metric("laurel_watchers") == 1
    watch.cancel()

    async def is_gone() -> bool:
        return not await score_service.metric("laurel_watchers")

    await eventually(is_gone)


def all_of(stubs: Stubs, board_id: str) -> list[Awaitable[object]]:
    """Make every call of the contract on a board."""
    return [
        stubs.score.AwardPoints(award_request(board_id=board_id)),
        stubs.score.GetAward(score_pb.GetAwardRequest(board_id=board_id, award_id=str(uuid.uuid4()))),
        *reads_of(stubs, board_id),
    ]


async def test_a_board_that_is_not_ones_own_is_denied_whether_or_not_it_exists(
    backend_stubs: Stubs, gateway_stubs: Stubs
) -> None:
    await give(gateway_stubs, "ada", 10, board_id="private")
    for call in [*all_of(backend_stubs, "private"), *all_of(backend_stubs, "nowhere")]:
        error = await rejected(call)
        assert (error.code, error.reason) == (StatusCode.PERMISSION_DENIED, "NOT_ALLOWED")
        assert "private" not in error.message


async def test_a_denied_award_is_not_made(backend_stubs: Stubs) -> None:
    await give(backend_stubs, "ada", 10)
    for change in ({"board_id": "private"}, {"points": 1_001}):
        error = await rejected(backend_stubs.score.AwardPoints(award_request(user_id="eve", **change)))
        assert (error.code, error.reason) == (StatusCode.PERMISSION_DENIED, "NOT_ALLOWED")
    eve = leaderboard_pb.GetStandingRequest(board_id="main", user_id="eve")
    assert (await rejected(backend_stubs.leaderboard.GetStanding(eve))).reason == "STANDING_NOT_FOUND"


async def test_an_award_as_large_as_the_policy_allows_is_made(backend_stubs: Stubs) -> None:
    assert (await give(backend_stubs, "ada", 1_000)).total == 1_000
    assert (await give(backend_stubs, "ada", 1, board_id="season-1")).total == 1


async def test_a_used_up_quota_has_a_time_to_retry(
    score_service: ScoreService, connect: Connect, metered_certificate: CertificateFiles
) -> None:
    stubs = connect(score_service, metered_certificate)
    for _ in range(2):
        await give(stubs, "ada", 100)
    error = await rejected(give(stubs, "ada", 51))
    assert (error.code, error.reason) == (StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED")
    assert error.retry_after is not None
    assert 0 < error.retry_after <= 60
    assert (await give(stubs, "ada", 50)).total == 250


async def test_of_a_batch_past_the_quota_those_that_fit_are_made(
    score_service: ScoreService, connect: Connect, metered_certificate: CertificateFiles
) -> None:
    stubs = connect(score_service, metered_certificate)
    requests = [award_request(user_id="ada", points=points) for points in (100, 100, 0, 51, 50)]
    response = await stubs.score.BatchAwardPoints(score_pb.BatchAwardPointsRequest(requests=requests))

    reasons = [item.error.reason for item in response.items]
    assert reasons == ["", "", "INVALID_FIELD", "QUOTA_EXCEEDED", ""]
    assert 0 < response.items[3].error.retry_after_seconds <= 60
    assert response.items[4].result.total == 250


async def test_what_is_rejected_uses_no_quota(
    score_service: ScoreService, connect: Connect, metered_certificate: CertificateFiles
) -> None:
    stubs = connect(score_service, metered_certificate)
    for change in ({"user_id": "?"}, {"board_id": "private"}, {"points": 101}):
        await rejected(stubs.score.AwardPoints(award_request(**change)))
    for points in (100, 100, 50):
        await give(stubs, "ada", points)


async def test_while_no_award_has_room_none_is_even_read(
    start_score_service: StartScoreService,
    connect: Connect,
    metered_certificate: CertificateFiles,
    database: Database,
) -> None:
    service = await start_score_service(awards_waiting_max=2)
    stubs = connect(service, metered_certificate)
    await give(stubs, "ada", 10)
    both = score_pb.BatchAwardPointsRequest(requests=[award_request(), award_request()])
    async with await psycopg.AsyncConnection.connect(database.admin_dsn) as holder:
        await holder.execute("SELECT FROM score.board WHERE board_id = 'main' FOR UPDATE")
        waiting = stubs.score.BatchAwardPoints(both)

        async def is_full() -> bool:
            return await service.metric("laurel_awards_waiting") == 2

        await eventually(is_full)
        unreadable = [award_request(points=0)] * 30
        batch = stubs.score.BatchAwardPoints(score_pb.BatchAwardPointsRequest(requests=unreadable))
        for error in [await rejected(batch), await rejected(give(stubs, "ada", 100))]:
            assert (error.code, error.reason) == (StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
            assert error.retry_after == 1.0
    assert [item.result.points for item in (await waiting).items] == [10, 10]
    # The quota of 250 points has room for two more: what was rejected has used none of it.
    assert [(await give(stubs, "ada", 100)).total for _ in range(2)] == [130, 230]


async def test_every_fault_of_a_request_is_reported_at_once(backend_stubs: Stubs) -> None:
    error = await rejected(
        backend_stubs.score.AwardPoints(award_request(user_id="", points=0, request_id="x"))
    )
    assert (error.code, error.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert set(error.fields) == {"award.user_id", "award.points", "request_id"}


async def test_a_thousand_faults_still_fit_into_the_answer(backend_stubs: Stubs) -> None:
    request = leaderboard_pb.BatchGetStandingsRequest(board_id="?", user_ids=["?" * 128] * 1000)
    error = await rejected(backend_stubs.leaderboard.BatchGetStandings(request))
    assert error.code is StatusCode.INVALID_ARGUMENT
    assert len(error.fields) == 16


async def test_a_total_past_its_bound_is_out_of_range(gateway_stubs: Stubs, database: Database) -> None:
    await give(gateway_stubs, "ada", 1)
    # To get there by awards would take nine billion of them.
    async with await psycopg.AsyncConnection.connect(database.admin_dsn, autocommit=True) as connection:
        await connection.execute("UPDATE score.standing SET total = %s", [2**53 - 2])
    assert (await give(gateway_stubs, "ada", 1)).total == 2**53 - 1
    error = await rejected(give(gateway_stubs, "ada", 1))
    assert (error.code, error.reason) == (StatusCode.OUT_OF_RANGE, "TOTAL_OUT_OF_RANGE")


# Every request of the contract, with fields that are mostly right, nearly right, or anything.
GOOD_TEXTS: dict[str, st.SearchStrategy[str]] = {
    "award_id": st.uuids().map(str) | st.just(str(uuid.UUID(int=1))),
    "request_id": st.uuids().map(str),
    "reversal_id": st.uuids().map(str),
    "caller": st.sampled_from(["", "spiffe://laurel.local/sample-backend"]),
    "plan_token": st.just(""),
    "page_token": st.just(""),
    "paths": st.sampled_from(["time_zone", "periods", "seasons", "grace", "late", "keep"]),
    "period": st.sampled_from(["", "all_time", "day", "week:previous", "season:a", "day:2026-11-30"]),
    "season_id": st.sampled_from(["a", "b"]),
    "time_zone": st.sampled_from(["UTC", "Europe/Berlin"]),
    "after_position": st.sampled_from(["0-0000000000000000", "1-00112233aabbccdd"]),
}
ODD_TEXTS = st.sampled_from(
    ["", "\x00", "a\x00", "\ufeffmain", "\u202e", "ma\u0131n", "main ", "%s", "'; --", "{main}", "a" * 5000]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def numbers(bits: int) -> st.SearchStrategy[int]:
    return st.integers(1, 10) | st.integers(1, 10) | st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def values_of(field: Any) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        nested = messages_of(GetMessageClass(field.message_type))
        return st.lists(nested, min_size=1, max_size=3) if field.is_repeated else nested
    good = GOOD_TEXTS.get(field.name, st.sampled_from(["main", "ada", "bob", "season-1"]))
    values: st.SearchStrategy[Any] = {
        FieldDescriptor.TYPE_STRING: good | good | good | ODD_TEXTS,
        FieldDescriptor.TYPE_BOOL: st.booleans(),
        FieldDescriptor.TYPE_ENUM: st.integers(0, 4) | numbers(32),
        FieldDescriptor.TYPE_INT32: numbers(32),
        FieldDescriptor.TYPE_INT64: numbers(64),
    }[field.type]
    return st.lists(values, min_size=1, max_size=5) if field.is_repeated else values


def messages_of(kind: type[Message]) -> st.SearchStrategy[Message]:
    fields = {field.name: values_of(field) for field in kind.DESCRIPTOR.fields}
    whole, partial = st.fixed_dictionaries(fields), st.fixed_dictionaries({}, optional=fields)
    return (whole | partial).map(lambda values: kind(**values))


METHODS = {
    "/score_api.v1.ScoreService/AwardPoints": score_pb.AwardPointsRequest,
    "/score_api.v1.ScoreService/GetAward": score_pb.GetAwardRequest,
    "/score_api.v1.LeaderboardService/GetStanding": leaderboard_pb.GetStandingRequest,
    "/score_api.v1.LeaderboardService/BatchGetStandings": leaderboard_pb.BatchGetStandingsRequest,
    "/score_api.v1.LeaderboardService/ListStandings": leaderboard_pb.ListStandingsRequest,
    "/score_api.v1.LeaderboardService/ListStandingsAround": leaderboard_pb.ListStandingsAroundRequest,
    "/score_api.v1.LeaderboardService/WatchLeaderboard": leaderboard_pb.WatchLeaderboardRequest,
    "/score_api.v1.BoardService/GetBoard": board_pb.GetBoardRequest,
    "/score_api.v1.BoardService/ListBoards": board_pb.ListBoardsRequest,
    "/score_api.v1.BoardService/UpdateBoard": board_pb.UpdateBoardRequest,
    "/score_api.v1.BoardService/GetPeriod": board_pb.GetPeriodRequest,
    "/score_api.v1.BoardService/ListPeriods": board_pb.ListPeriodsRequest,
    "/score_api.v1.CorrectionService/ReverseAward": correction_pb.ReverseAwardRequest,
    "/score_api.v1.CorrectionService/ReverseAwards": correction_pb.ReverseAwardsRequest,
    "/score_api.v1.CorrectionService/SetUserVisibility": correction_pb.SetUserVisibilityRequest,
    "/score_api.v1.LedgerService/ListAwards": ledger_pb.ListAwardsRequest,
}
REQUESTS = st.one_of(
    [
        st.tuples(st.just(name), messages_of(kind).map(lambda m: m.SerializeToString()))
        for name, kind in METHODS.items()
    ]
)
BYTES = st.tuples(st.sampled_from(sorted(METHODS)), st.binary(max_size=200))
FUZZING = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


async def code_of(channel: Any, method: str, request: bytes) -> StatusCode:
    """Make any call with any bytes; of a stream, the first message counts."""
    try:
        if method.endswith("WatchLeaderboard"):
            watch = channel.unary_stream(method)(request, timeout=20)
            await anext(aiter(watch))
            watch.cancel()
        else:
            await channel.unary_unary(method)(request, timeout=20)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return StatusCode.OK


ANSWERS = {
    StatusCode.OK,
    StatusCode.INVALID_ARGUMENT,
    StatusCode.NOT_FOUND,
    StatusCode.ALREADY_EXISTS,
    StatusCode.PERMISSION_DENIED,
    StatusCode.OUT_OF_RANGE,
    # A late award, settings that would alter an open period, and a plan that does not hold.
    StatusCode.FAILED_PRECONDITION,
    # A least revision that the board has not reached.
    StatusCode.UNAVAILABLE,
}


@FUZZING
@given(asked=REQUESTS)
async def test_no_request_gets_an_answer_outside_the_contract(
    backend_stubs: Stubs, asked: tuple[str, bytes]
) -> None:
    method, content = asked
    assert await code_of(backend_stubs.channel, method, content) in ANSWERS


@FUZZING
@given(asked=BYTES)
async def test_no_bytes_get_an_answer_outside_the_contract(
    backend_stubs: Stubs, asked: tuple[str, bytes]
) -> None:
    method, content = asked
    assert await code_of(backend_stubs.channel, method, content) in ANSWERS


async def buf_curl(
    service: ScoreService, certificate: CertificateFiles, method: str, data: dict[str, Any], *schema: str
) -> tuple[int, str]:
    """Call the service with an implementation of gRPC that is not ours."""
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("buf"),
        *("curl", "--protocol", "grpc", *schema),
        *("--cacert", certificate.ca_file, "--cert", certificate.certificate_file),
        *("--key", certificate.key_file, "-d", json.dumps(data)),
        f"https://localhost:{service.running.grpc_address.port}/{method}",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_another_implementation_of_grpc_makes_an_award(
    score_service: ScoreService, backend_certificate: CertificateFiles
) -> None:
    award = {"awardId": str(uuid.uuid4()), "boardId": "main", "userId": "ada", "points": "10"}
    award |= {"actionType": "puzzle", "actionId": "puzzle_1"}
    proto = Path(__file__).parents[3] / "proto"
    code, output = await buf_curl(
        score_service,
        backend_certificate,
        "score_api.v1.ScoreService/AwardPoints",
        {"award": award},
        *("--schema", str(proto)),
    )
    assert code == 0, output
    assert json.loads(output)["result"]["total"] == "10"


async def test_another_implementation_of_grpc_finds_the_contract_by_reflection(
    score_service: ScoreService, backend_certificate: CertificateFiles, backend_stubs: Stubs
) -> None:
    await give(backend_stubs, "ada", 10)
    method = "score_api.v1.LeaderboardService/GetStanding"
    asked = {"boardId": "main", "userId": "ada"}
    code, output = await buf_curl(score_service, backend_certificate, method, asked)
    assert code == 0, output
    assert json.loads(output)["standing"] == {
        "userId": "ada",
        "total": "10",
        "rank": "1",
        "reachedRevision": "1",
    }
    code, output = await buf_curl(score_service, backend_certificate, method, asked | {"boardId": "?"})
    assert code != 0
    assert "invalid_argument" in output
    assert "board_id" in output
