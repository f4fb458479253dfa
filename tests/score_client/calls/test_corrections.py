"""Reversals, visibility and history against a scripted server."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode

from conformance.server.scripted import ScriptedServer, answer, reject
from score_api.v1 import board_service_pb2 as boards
from score_api.v1 import correction_service_pb2 as corrections
from score_api.v1 import leaderboard_service_pb2 as leaderboards
from score_api.v1 import ledger_service_pb2 as ledger
from score_api.v1 import score_service_pb2 as scores
from score_api.v1 import types_pb2
from score_client import (
    AwardFilter,
    AwardReversedError,
    AwardsView,
    ClientCredentials,
    InvalidRequestError,
    PlanStaleError,
    RankMove,
    RecordedAward,
    Reversal,
    ReversalPlan,
    ReversalResult,
    ScoreClient,
    ServiceFaultError,
    Visibility,
    VisibilityResult,
)

AWARD_ID = UUID("6d1f9c5e-6f3b-4d52-9a43-0d2c1f8f2f11")
REVERSAL_ID = UUID("0b8b2f0a-9d6e-4c39-8d0e-4a8b5f5c7a01")
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
SENT_NOON = Timestamp(seconds=int(NOON.timestamp()))
REVERSAL = types_pb2.Reversal(
    reversal_id=str(REVERSAL_ID),
    award_id=str(AWARD_ID),
    award_revision=3,
    user_id="ada",
    points=10,
    total=20,
    revision=9,
    position="9-00ff",
    reason="the answer had leaked",
    actor="spiffe://test.local/backend",
    on_behalf_of="mo",
    recorded_at=SENT_NOON,
    final_periods=["day:2026-11-29"],
)
REVERSAL_VALUE = Reversal(
    reversal_id=REVERSAL_ID,
    award_id=AWARD_ID,
    award_revision=3,
    user_id="ada",
    points=10,
    total=20,
    revision=9,
    position="9-00ff",
    reason="the answer had leaked",
    actor="spiffe://test.local/backend",
    on_behalf_of="mo",
    recorded_at=NOON,
    final_periods=("day:2026-11-29",),
)
PLAN = ReversalPlan(
    board_id="main",
    award_filter=AwardFilter(action_id="p1", recorded_from=NOON),
    awards=3,
    points=30,
    users=2,
    moves=(RankMove(user_id="ada", total_before=30, total_after=0, rank_before=1, rank_after=None),),
    revision=9,
    token="plan",
)


@pytest.fixture
async def client(server: ScriptedServer, credentials: ClientCredentials) -> AsyncIterator[ScoreClient]:
    async with ScoreClient(server.target, credentials=credentials) as client:
        yield client


async def test_a_reversal_is_sent_completely_and_its_result_is_typed(
    server: ScriptedServer, client: ScoreClient
) -> None:
    response = corrections.ReverseAwardResponse(reversal=REVERSAL, rank=2, replayed=True)
    server.script("ReverseAward", answer(response))

    result = await client.reverse_award(
        board_id="main",
        award_id=AWARD_ID,
        reversal_id=REVERSAL_ID,
        reason="the answer had leaked",
        on_behalf_of="mo",
    )

    assert result == ReversalResult(reversal=REVERSAL_VALUE, rank=2, replayed=True)
    (call,) = server.calls("ReverseAward")
    assert call.request == corrections.ReverseAwardRequest(
        board_id="main",
        award_id=str(AWARD_ID),
        reversal_id=str(REVERSAL_ID),
        reason="the answer had leaked",
        on_behalf_of="mo",
    )


async def test_all_tries_of_a_reversal_carry_the_same_id(server: ScriptedServer, client: ScoreClient) -> None:
    response = corrections.ReverseAwardResponse(reversal=REVERSAL)
    server.script("ReverseAward", reject(StatusCode.UNAVAILABLE, "RECORD_UNAVAILABLE"), answer(response))

    result = await client.reverse_award(board_id="main", award_id=AWARD_ID, reason="a mistake")

    assert result.rank is None
    first, second = server.calls("ReverseAward")
    assert first.request == second.request
    assert UUID(first.request.reversal_id).version == 4


@pytest.mark.parametrize(
    ("message", "value"),
    [(REVERSAL, REVERSAL_VALUE), (types_pb2.Reversal(reversal_id="no UUID"), None)],
)
async def test_the_reversal_that_stands_is_in_the_error(
    server: ScriptedServer, client: ScoreClient, message: types_pb2.Reversal, value: Reversal | None
) -> None:
    server.script("ReverseAward", reject(StatusCode.ALREADY_EXISTS, "AWARD_REVERSED", more=[message]))

    with pytest.raises(AwardReversedError) as caught:
        await client.reverse_award(board_id="main", award_id=AWARD_ID, reason="a mistake")

    assert caught.value.reversal == value


async def test_a_plan_is_typed_and_changes_nothing(server: ScriptedServer, client: ScoreClient) -> None:
    response = corrections.ReverseAwardsResponse(
        awards=3,
        points=30,
        users=2,
        moves=[corrections.RankMove(user_id="ada", total_before=30, rank_before=1)],
        revision=9,
        plan_token="plan",
    )
    server.script("ReverseAwards", answer(response))

    assert await client.plan_reversals(board_id="main", award_filter=PLAN.award_filter) == PLAN

    (call,) = server.calls("ReverseAwards")
    assert call.request == corrections.ReverseAwardsRequest(
        board_id="main",
        filter=corrections.AwardFilter(action_id="p1", recorded_from=SENT_NOON),
        validate_only=True,
    )


async def test_a_plan_is_applied_in_steps_until_all_of_it_is(
    server: ScriptedServer, client: ScoreClient
) -> None:
    steps = [corrections.ReverseAwardsResponse(awards=3, reversed=done) for done in (1, 2, 3)]
    server.script("ReverseAwards", *map(answer, steps))
    seen = list[int]()

    done = await client.apply_reversals(PLAN, reason="it had leaked", on_progress=seen.append)

    assert (done, seen) == (3, [1, 2, 3])
    assert {call.request.plan_token for call in server.calls("ReverseAwards")} == {"plan"}
    assert {call.request.reason for call in server.calls("ReverseAwards")} == {"it had leaked"}


async def test_an_apply_without_progress_is_a_fault_of_the_service(
    server: ScriptedServer, client: ScoreClient
) -> None:
    server.script("ReverseAwards", answer(corrections.ReverseAwardsResponse(awards=3, reversed=1)))

    with pytest.raises(ServiceFaultError, match="no progress"):
        await client.apply_reversals(PLAN, reason="it had leaked")


async def test_a_stale_plan_is_an_error_of_its_own(server: ScriptedServer, client: ScoreClient) -> None:
    server.script("ReverseAwards", reject(StatusCode.FAILED_PRECONDITION, "PLAN_STALE"))

    with pytest.raises(PlanStaleError):
        await client.apply_reversals(PLAN, reason="it had leaked")


@pytest.mark.parametrize("visibility", list(Visibility))
async def test_visibility_goes_both_ways(
    server: ScriptedServer, client: ScoreClient, visibility: Visibility
) -> None:
    value = corrections.Visibility.Value(f"VISIBILITY_{visibility.name}")
    response = corrections.SetUserVisibilityResponse(
        visibility=value, before=corrections.VISIBILITY_VISIBLE, revision=7, position="7-00ff"
    )
    server.script("SetUserVisibility", answer(response))

    result = await client.set_user_visibility(
        board_id="main", user_id="ada", visibility=visibility, reason="cheats"
    )

    assert result == VisibilityResult(
        visibility=visibility, before=Visibility.VISIBLE, revision=7, position="7-00ff"
    )
    (call,) = server.calls("SetUserVisibility")
    assert (call.request.user_id, call.request.visibility, call.request.reason) == ("ada", value, "cheats")


async def test_an_unknown_visibility_is_rejected_before_it_is_sent(
    server: ScriptedServer, client: ScoreClient
) -> None:
    with pytest.raises(InvalidRequestError, match="visibility must be visible, hidden or shadowed"):
        await client.set_user_visibility(
            board_id="main",
            user_id="ada",
            visibility="gone",  # type: ignore[arg-type]
            reason="cheats",
        )
    assert server.received == []


async def test_a_filter_takes_no_time_without_a_zone(server: ScriptedServer, client: ScoreClient) -> None:
    naive = AwardFilter(recorded_from=datetime(2026, 11, 30))  # noqa: DTZ001
    with pytest.raises(InvalidRequestError, match=r"filter\.recorded_from must be a datetime"):
        await client.plan_reversals(board_id="main", award_filter=naive)
    assert server.received == []


async def test_a_page_of_history_is_typed(server: ScriptedServer, client: ScoreClient) -> None:
    fields: dict[str, Any] = {
        "revision": 3,
        "user_id": "ada",
        "points": 10,
        "total": 30,
        "action_type": "puzzle",
        "action_id": "p1",
        "caller": "spiffe://test.local/backend",
        "trace_id": "",
        "recorded_at": NOON,
    }
    reversed_award = ledger.RecordedAward(
        award_id=str(AWARD_ID), occurred_at=SENT_NOON, periods=["day:2026-11-29"], reversal=REVERSAL, **fields
    )
    response = ledger.ListAwardsResponse(
        awards=[reversed_award, ledger.RecordedAward(award_id=str(AWARD_ID), **fields)],
        next_page_token="next",
        archived_revision=2,
    )
    server.script("ListAwards", answer(response))

    page = await client.list_awards(board_id="main", user_id="ada", page_size=2, page_token="this")

    first = RecordedAward(
        award_id=AWARD_ID, occurred_at=NOON, periods=("day:2026-11-29",), reversal=REVERSAL_VALUE, **fields
    )
    second = RecordedAward(award_id=AWARD_ID, occurred_at=None, periods=(), reversal=None, **fields)
    assert page == AwardsView(awards=(first, second), next_page_token="next", archived_revision=2)
    (call,) = server.calls("ListAwards")
    assert call.request == ledger.ListAwardsRequest(
        board_id="main", user_id="ada", page_size=2, page_token="this"
    )


async def test_an_award_that_was_taken_back_says_so(server: ScriptedServer, client: ScoreClient) -> None:
    result = scores.AwardResult(award_id=str(AWARD_ID), reversed=True)
    server.script("GetAward", answer(scores.GetAwardResponse(result=result)))

    assert (await client.get_award(board_id="main", award_id=AWARD_ID)).reversed


async def test_a_hidden_standing_says_so(server: ScriptedServer, client: ScoreClient) -> None:
    standing = types_pb2.Standing(user_id="ada", total=3, hidden=True)
    server.script("GetStanding", answer(leaderboards.GetStandingResponse(standing=standing)))

    view = await client.get_standing(board_id="main", user_id="ada")

    assert (view.standing.hidden, view.standing.rank) == (True, None)


async def test_a_period_lists_what_was_taken_back_after_it(
    server: ScriptedServer, client: ScoreClient
) -> None:
    period = types_pb2.Period(
        id="day:2026-11-29", kind=types_pb2.PERIOD_KIND_DAY, state=types_pb2.PERIOD_STATE_FINAL
    )
    result = boards.PeriodResult(period=period, reversed_after=1, reversals_after=[REVERSAL])
    server.script("GetPeriod", answer(boards.GetPeriodResponse(result=result)))

    found = await client.get_period(board_id="main", period="day:2026-11-29")

    assert (found.reversed_after, found.reversals_after) == (1, (REVERSAL_VALUE,))
