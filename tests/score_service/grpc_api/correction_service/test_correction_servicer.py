"""`CorrectionService` over real mutual TLS and real stores."""

import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode
from tests.fixtures.certificates import BACKEND_ID
from tests.fixtures.ledgers.corrections import (
    apply_request,
    plan_request,
    reversal_request,
    visibility_request,
)
from tests.fixtures.services.score_service import Connect, ScoreService, Stubs, award_request, rejected

from local_stack.certificates import CertificateFiles
from score_api.v1 import correction_service_pb2 as correction_pb
from score_api.v1 import leaderboard_service_pb2 as leaderboard_pb
from score_api.v1 import score_service_pb2 as score_pb
from score_api.v1 import types_pb2 as types_pb

HIDDEN, SHADOWED = correction_pb.VISIBILITY_HIDDEN, correction_pb.VISIBILITY_SHADOWED
VISIBLE = correction_pb.VISIBILITY_VISIBLE
FORGED = str(uuid.UUID(int=1))


async def give(stubs: Stubs, user_id: str = "ada", points: int = 10, **changes: Any) -> score_pb.AwardResult:
    response = await stubs.score.AwardPoints(award_request(user_id=user_id, points=points, **changes))
    return response.result


async def standing_of(stubs: Stubs, user_id: str, min_revision: int = 0) -> types_pb.Standing:
    request = leaderboard_pb.GetStandingRequest(board_id="main", user_id=user_id, min_revision=min_revision)
    return (await stubs.leaderboard.GetStanding(request)).standing


async def users_of(stubs: Stubs, min_revision: int = 0) -> list[str]:
    request = leaderboard_pb.ListStandingsRequest(board_id="main", min_revision=min_revision)
    return [standing.user_id for standing in (await stubs.leaderboard.ListStandings(request)).standings]


async def plan(stubs: Stubs, **changes: Any) -> correction_pb.ReverseAwardsResponse:
    return await stubs.correction.ReverseAwards(plan_request(**changes))


async def apply(stubs: Stubs, plan_token: str, **changes: Any) -> correction_pb.ReverseAwardsResponse:
    return await stubs.correction.ReverseAwards(apply_request(plan_token, **changes))


async def test_a_reversal_says_what_was_taken_back_by_whom_and_why(backend_stubs: Stubs) -> None:
    first = await give(backend_stubs, points=10)
    made = await give(backend_stubs, points=7)
    await give(backend_stubs, "bob", 12)
    request = reversal_request(made.award_id, reason="a leaked answer", on_behalf_of="support:eve")

    answer = await backend_stubs.correction.ReverseAward(request)

    reversal = answer.reversal
    assert (answer.rank, answer.replayed) == (2, False)
    assert (reversal.reversal_id, reversal.award_id) == (request.reversal_id, made.award_id)
    assert (reversal.award_revision, reversal.revision) == (2, 4)
    assert (reversal.user_id, reversal.points, reversal.total) == ("ada", 7, 10)
    assert (reversal.reason, reversal.actor) == ("a leaked answer", BACKEND_ID)
    assert reversal.on_behalf_of == "support:eve"
    assert reversal.position.startswith("4-")
    assert abs((datetime.now(UTC) - reversal.recorded_at.ToDatetime(UTC)).total_seconds()) < 60
    assert not reversal.final_periods
    standing = await standing_of(backend_stubs, "ada", reversal.revision)
    assert (standing.total, standing.rank, standing.reached_revision) == (10, 2, first.revision)


async def test_a_reversal_asked_for_again_is_the_first_result(
    score_service: ScoreService, backend_stubs: Stubs
) -> None:
    request = reversal_request((await give(backend_stubs)).award_id)
    first = await backend_stubs.correction.ReverseAward(request)
    request.reason = "another reason"
    again = await backend_stubs.correction.ReverseAward(request)

    assert (first.replayed, again.replayed) == (False, True)
    assert again.reversal == first.reversal
    assert await score_service.metric("laurel_corrections_total", kind="reversal") == 1


async def test_a_user_whose_last_award_is_taken_back_has_no_standing_and_no_rank(
    backend_stubs: Stubs,
) -> None:
    made = await give(backend_stubs)
    answer = await backend_stubs.correction.ReverseAward(reversal_request(made.award_id))

    assert (answer.reversal.total, answer.HasField("rank")) == (0, False)
    rejection = await rejected(standing_of(backend_stubs, "ada", answer.reversal.revision))
    assert (rejection.code, rejection.reason) == (StatusCode.NOT_FOUND, "STANDING_NOT_FOUND")
    assert await users_of(backend_stubs, answer.reversal.revision) == []


async def test_an_award_is_taken_back_by_one_reversal_alone(backend_stubs: Stubs) -> None:
    made = await give(backend_stubs)
    first = (await backend_stubs.correction.ReverseAward(reversal_request(made.award_id))).reversal
    rejection = await rejected(backend_stubs.correction.ReverseAward(reversal_request(made.award_id)))

    assert (rejection.code, rejection.reason) == (StatusCode.ALREADY_EXISTS, "AWARD_REVERSED")
    assert rejection.reversal == first


async def test_a_reversal_id_is_of_one_award_alone(backend_stubs: Stubs) -> None:
    one, other = await give(backend_stubs), await give(backend_stubs)
    request = reversal_request(one.award_id)
    first = (await backend_stubs.correction.ReverseAward(request)).reversal
    request.award_id = other.award_id
    rejection = await rejected(backend_stubs.correction.ReverseAward(request))

    assert (rejection.code, rejection.reason) == (StatusCode.ALREADY_EXISTS, "AWARD_REVERSED")
    assert rejection.reversal == first
    assert (await standing_of(backend_stubs, "ada", first.revision)).total == 10


async def test_an_award_that_was_taken_back_is_never_made_again(backend_stubs: Stubs) -> None:
    request = award_request()
    first = (await backend_stubs.score.AwardPoints(request)).result
    reversal = (await backend_stubs.correction.ReverseAward(reversal_request(first.award_id))).reversal

    again = (await backend_stubs.score.AwardPoints(request)).result
    name = score_pb.GetAwardRequest(board_id="main", award_id=first.award_id)
    found = (await backend_stubs.score.GetAward(name)).result

    assert (first.reversed, again.reversed, found.reversed) == (False, True, True)
    assert (again.revision, again.total, again.HasField("rank")) == (first.revision, 10, False)
    assert await users_of(backend_stubs, reversal.revision) == []


@pytest.mark.parametrize(
    ("board_id", "reason"), [("main", "AWARD_NOT_FOUND"), ("season-none", "BOARD_NOT_FOUND")]
)
async def test_what_there_is_not_is_not_taken_back(backend_stubs: Stubs, board_id: str, reason: str) -> None:
    await give(backend_stubs)
    request = reversal_request(FORGED, board_id=board_id)
    rejection = await rejected(backend_stubs.correction.ReverseAward(request))
    assert (rejection.code, rejection.reason) == (StatusCode.NOT_FOUND, reason)


@pytest.mark.parametrize("visibility", [HIDDEN, SHADOWED])
async def test_a_user_is_hidden_and_shown_again_with_what_was_collected_meanwhile(
    score_service: ScoreService, backend_stubs: Stubs, visibility: Any
) -> None:
    await give(backend_stubs, "ada", 10)
    await give(backend_stubs, "bob", 5)
    hidden = await backend_stubs.correction.SetUserVisibility(visibility_request("ada", visibility))
    seen = await users_of(backend_stubs, hidden.revision)
    collected = await give(backend_stubs, "ada", 3)
    shown = await backend_stubs.correction.SetUserVisibility(visibility_request("ada", VISIBLE))

    assert (hidden.before, hidden.visibility, hidden.revision) == (VISIBLE, visibility, 3)
    assert hidden.position.startswith("3-")
    assert seen == ["bob"]
    assert (collected.total, collected.rank) == (13, 1 if visibility == SHADOWED else 0)
    assert (shown.before, shown.visibility, shown.revision) == (visibility, VISIBLE, 5)
    assert await users_of(backend_stubs, shown.revision) == ["ada", "bob"]
    assert (await standing_of(backend_stubs, "ada", shown.revision)).total == 13
    assert await score_service.metric("laurel_corrections_total", kind="visibility") == 2


async def test_a_hidden_user_has_no_rank_and_a_shadowed_one_the_rank_that_would_be(
    backend_stubs: Stubs,
) -> None:
    for user_id, points in (("ada", 30), ("bob", 20), ("eve", 10)):
        await give(backend_stubs, user_id, points)
    hidden = await backend_stubs.correction.SetUserVisibility(visibility_request("bob", HIDDEN))
    unseen = await standing_of(backend_stubs, "bob", hidden.revision)
    others = await standing_of(backend_stubs, "eve", hidden.revision)
    shadowed = await backend_stubs.correction.SetUserVisibility(visibility_request("bob", SHADOWED))
    seen = await standing_of(backend_stubs, "bob", shadowed.revision)

    assert (unseen.total, unseen.hidden, unseen.HasField("rank")) == (20, True, False)
    assert (seen.total, seen.hidden, seen.rank) == (20, True, 2)
    assert (others.rank, others.hidden) == (2, False)


async def test_a_visibility_that_is_so_already_is_not_written(
    score_service: ScoreService, backend_stubs: Stubs
) -> None:
    await give(backend_stubs)
    visible = await backend_stubs.correction.SetUserVisibility(visibility_request("ada", VISIBLE))
    first = await backend_stubs.correction.SetUserVisibility(visibility_request("ada", HIDDEN))
    again = await backend_stubs.correction.SetUserVisibility(visibility_request("ada", HIDDEN))

    assert (visible.revision, visible.before) == (0, VISIBLE)
    assert (again.revision, again.before, again.position) == (first.revision, HIDDEN, first.position)
    assert await score_service.metric("laurel_corrections_total", kind="visibility") == 1


@pytest.mark.parametrize(
    ("board_id", "reason"), [("main", "STANDING_NOT_FOUND"), ("season-none", "BOARD_NOT_FOUND")]
)
async def test_nobody_is_hidden_who_never_had_an_award(
    backend_stubs: Stubs, board_id: str, reason: str
) -> None:
    await give(backend_stubs)
    request = visibility_request("nobody", HIDDEN, board_id=board_id)
    rejection = await rejected(backend_stubs.correction.SetUserVisibility(request))
    assert (rejection.code, rejection.reason) == (StatusCode.NOT_FOUND, reason)


async def test_a_plan_says_what_would_change_and_changes_nothing(backend_stubs: Stubs) -> None:
    await give(backend_stubs, "ada", 30)
    await give(backend_stubs, "ada", 10, action_id="puzzle_2")
    await give(backend_stubs, "bob", 20, action_id="puzzle_2")
    await give(backend_stubs, "eve", 5)
    planned = await plan(backend_stubs)

    assert (planned.awards, planned.points, planned.users) == (2, 35, 2)
    assert (planned.reversed, planned.revision) == (0, 4)
    moves = {
        move.user_id: (
            move.total_before,
            move.total_after,
            move.rank_before,
            move.rank_after if move.HasField("rank_after") else None,
        )
        for move in planned.moves
    }
    assert moves == {"ada": (40, 10, 1, 2), "bob": (20, 20, 2, 1), "eve": (5, 0, 3, None)}
    assert await users_of(backend_stubs) == ["ada", "bob", "eve"]


async def test_an_apply_takes_back_what_the_plan_has_and_nothing_that_came_later(
    backend_stubs: Stubs,
) -> None:
    for user_id in ("ada", "bob"):
        await give(backend_stubs, user_id, 10)
    planned = await plan(backend_stubs)
    await give(backend_stubs, "ada", 3)
    applied = await apply(backend_stubs, planned.plan_token, reason="a buggy backend", on_behalf_of="eve")
    again = await apply(backend_stubs, planned.plan_token)

    assert (applied.awards, applied.points, applied.users, applied.reversed) == (2, 20, 2, 2)
    assert (applied.revision, list(applied.moves)) == (2, [])
    assert again == applied
    assert await users_of(backend_stubs, 5) == ["ada"]
    assert (await standing_of(backend_stubs, "ada", 5)).total == 3


async def test_an_award_that_was_taken_back_before_is_not_in_a_plan_and_one_since_counts_as_done(
    backend_stubs: Stubs,
) -> None:
    before, between, _ = [await give(backend_stubs, user_id) for user_id in ("ada", "bob", "eve")]
    await backend_stubs.correction.ReverseAward(reversal_request(before.award_id))
    planned = await plan(backend_stubs)
    await backend_stubs.correction.ReverseAward(reversal_request(between.award_id))
    applied = await apply(backend_stubs, planned.plan_token)

    assert (planned.awards, applied.awards, applied.reversed) == (2, 2, 2)


async def test_a_plan_does_not_hold_for_another_filter_or_another_board(backend_stubs: Stubs) -> None:
    await give(backend_stubs)
    await give(backend_stubs, board_id="season-1")
    token = (await plan(backend_stubs)).plan_token
    other = correction_pb.AwardFilter(action_id="puzzle_2")

    for changes in ({"filter": other}, {"board_id": "season-1"}):
        rejection = await rejected(apply(backend_stubs, token, **changes))
        assert (rejection.code, rejection.reason) == (StatusCode.FAILED_PRECONDITION, "PLAN_STALE")
    assert (await standing_of(backend_stubs, "ada")).total == 10


@pytest.mark.parametrize(
    "narrowed",
    [
        {"caller": BACKEND_ID},
        {"action_id": "puzzle_1"},
        {"action_type": "puzzle"},
        {"user_id": "ada"},
        {"recorded_from": Timestamp(seconds=1_000_000_000)},
        {"recorded_until": Timestamp(seconds=4_000_000_000)},
    ],
    ids=lambda narrowed: next(iter(narrowed)),
)
async def test_each_field_of_a_filter_narrows_it(backend_stubs: Stubs, narrowed: dict[str, Any]) -> None:
    await give(backend_stubs)
    others: dict[str, Any] = {
        "caller": "spiffe://laurel.local/other",
        "action_id": "puzzle_2",
        "action_type": "quiz",
        "user_id": "bob",
        "recorded_from": Timestamp(seconds=4_000_000_000),
        "recorded_until": Timestamp(seconds=1_000_000_000),
    }
    other = {name: others[name] for name in narrowed}

    found = await plan(backend_stubs, filter=correction_pb.AwardFilter(**narrowed))
    none = await plan(backend_stubs, filter=correction_pb.AwardFilter(**other))

    assert (found.awards, none.awards) == (1, 0)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"board_id": "a b"}, {"board_id"}),
        ({"award_id": "1"}, {"award_id"}),
        ({"reversal_id": ""}, {"reversal_id"}),
        ({"reason": ""}, {"reason"}),
        ({"reason": "  \t "}, {"reason"}),
        ({"reason": "a" * 501}, {"reason"}),
        ({"reason": "a\nb"}, {"reason"}),
        ({"reason": "a\x00b"}, {"reason"}),
        ({"reason": "a\u2028b"}, {"reason"}),
        ({"reason": "a\u202eb"}, {"reason"}),
        ({"reason": "\u2067a\u2069"}, {"reason"}),
        ({"on_behalf_of": "a b"}, {"on_behalf_of"}),
        ({"on_behalf_of": "a" * 129, "reason": "", "award_id": ""}, {"on_behalf_of", "reason", "award_id"}),
    ],
)
async def test_a_reversal_that_is_not_as_described_is_rejected_with_all_its_faults(
    backend_stubs: Stubs, changes: dict[str, str], fields: set[str]
) -> None:
    request = reversal_request(**({"award_id": FORGED} | changes))
    rejection = await rejected(backend_stubs.correction.ReverseAward(request))
    assert (rejection.code, rejection.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert set(rejection.fields) == fields


async def test_a_reason_is_kept_in_one_form_whatever_form_it_came_in(backend_stubs: Stubs) -> None:
    made = await give(backend_stubs)
    request = reversal_request(made.award_id, reason=' Cafe\u0301 "a\\b" \u2615 ')
    answer = await backend_stubs.correction.ReverseAward(request)
    assert answer.reversal.reason == 'Caf\u00e9 "a\\b" \u2615'


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"user_id": ""}, {"user_id"}),
        ({"visibility": correction_pb.VISIBILITY_UNSPECIFIED}, {"visibility"}),
        ({"visibility": 77}, {"visibility"}),
        ({"reason": "", "on_behalf_of": "\n"}, {"reason", "on_behalf_of"}),
    ],
)
async def test_a_visibility_that_is_not_as_described_is_rejected_with_all_its_faults(
    backend_stubs: Stubs, changes: dict[str, Any], fields: set[str]
) -> None:
    fields_of: dict[str, Any] = {"user_id": "ada", "visibility": HIDDEN}
    request = visibility_request(**(fields_of | changes))
    rejection = await rejected(backend_stubs.correction.SetUserVisibility(request))
    assert (rejection.code, set(rejection.fields)) == (StatusCode.INVALID_ARGUMENT, fields)


_FIRST = Timestamp(seconds=1_000)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"filter": None}, {"filter"}),
        ({"filter": correction_pb.AwardFilter()}, {"filter"}),
        ({"filter": correction_pb.AwardFilter(caller="nobody")}, {"filter.caller"}),
        ({"filter": correction_pb.AwardFilter(action_id="a b")}, {"filter.action_id"}),
        ({"filter": correction_pb.AwardFilter(action_type="a\n")}, {"filter.action_type"}),
        ({"filter": correction_pb.AwardFilter(user_id="a" * 129)}, {"filter.user_id"}),
        (
            {"filter": correction_pb.AwardFilter(recorded_from=_FIRST, recorded_until=_FIRST)},
            {"filter.recorded_until"},
        ),
        (
            {"filter": correction_pb.AwardFilter(recorded_from=Timestamp(nanos=-1))},
            {"filter.recorded_from"},
        ),
        ({"plan_token": "abc"}, {"plan_token"}),
        ({"validate_only": False, "reason": "a reason"}, {"plan_token"}),
        ({"validate_only": False, "plan_token": "abc"}, {"reason"}),
        ({"validate_only": False, "plan_token": "abc", "reason": "a reason"}, {"plan_token"}),
        ({"reason": "a\rb"}, {"reason"}),
    ],
)
async def test_a_plan_that_is_not_as_described_is_rejected_with_all_its_faults(
    backend_stubs: Stubs, changes: dict[str, Any], fields: set[str]
) -> None:
    rejection = await rejected(plan(backend_stubs, **changes))
    assert (rejection.code, set(rejection.fields)) == (StatusCode.INVALID_ARGUMENT, fields)


def _calls_of(stubs: Stubs) -> list[Callable[[str], Awaitable[object]]]:
    """Make every call, for a board."""
    calls = stubs.correction
    return [
        lambda board_id: calls.ReverseAward(reversal_request(FORGED, board_id=board_id)),
        lambda board_id: calls.SetUserVisibility(visibility_request("ada", HIDDEN, board_id=board_id)),
        lambda board_id: calls.ReverseAwards(plan_request(board_id=board_id)),
        lambda board_id: calls.ReverseAwards(apply_request("abc", board_id=board_id)),
    ]


async def test_corrections_are_denied_to_whom_the_policy_does_not_name_for_them(
    score_service: ScoreService, connect: Connect, reader_certificate: CertificateFiles, backend_stubs: Stubs
) -> None:
    await give(backend_stubs)
    reader = connect(score_service, reader_certificate)
    for call in _calls_of(reader):
        assert (await rejected(call("main"))).reason == "NOT_ALLOWED"
    for call in _calls_of(backend_stubs):
        assert (await rejected(call("not-mine"))).reason == "NOT_ALLOWED"
