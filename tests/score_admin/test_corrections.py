"""What changes something."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode
from tests.score_admin.conftest import Run

from conformance.server.scripted import ScriptedServer, answer, reject
from score_api.v1 import correction_service_pb2 as corrections
from score_api.v1 import leaderboard_service_pb2 as leaderboards
from score_api.v1 import score_service_pb2 as scores
from score_api.v1 import types_pb2

AWARD_ID = "6d1f9c5e-6f3b-4d52-9a43-0d2c1f8f2f11"
REVERSAL_ID = "0b8b2f0a-9d6e-4c39-8d0e-4a8b5f5c7a01"
REVERSAL = types_pb2.Reversal(
    reversal_id=REVERSAL_ID,
    award_id=AWARD_ID,
    user_id="ada",
    points=10,
    total=20,
    revision=9,
    recorded_at=Timestamp(seconds=1_790_000_000),
    final_periods=["day:2026-11-29"],
)
PLAN = corrections.ReverseAwardsResponse(
    awards=2,
    points=30,
    users=1,
    moves=[corrections.RankMove(user_id="ada", total_before=30, rank_before=1)],
    plan_token="plan",
)


def _instant(instant: datetime) -> Timestamp:
    return Timestamp(seconds=int(instant.timestamp()))


async def test_an_award_says_for_whom_and_why(server: ScriptedServer, run: Run) -> None:
    result = scores.AwardResult(award_id=AWARD_ID, revision=7, points=1200, total=1230, rank=1)
    item = scores.BatchAwardPointsItem(result=result)
    server.script("AwardPoints", answer(scores.AwardPointsResponse(result=result)))
    server.script("BatchAwardPoints", answer(scores.BatchAwardPointsResponse(items=[item])))

    ended = await run("award", "main", "ada", "1200", "--reason=ticket-7", f"--award-id={AWARD_ID}")

    assert (ended.exit_code, ended.stderr) == (0, "")
    assert "total     1,230" in ended.stdout
    (call,) = server.received
    award = call.request.award if call.method == "AwardPoints" else call.request.requests[0].award
    assert (award.action_type, award.action_id, award.award_id) == ("manual", "mo:ticket-7", AWARD_ID)


async def test_an_award_that_is_archived_says_which_it_is(server: ScriptedServer, run: Run) -> None:
    rejection = reject(StatusCode.ALREADY_EXISTS, "AWARD_ARCHIVED", metadata={"revision": "1200"})
    server.script("AwardPoints", rejection)

    ended = await run("award", "main", "ada", "10", "--reason=T-1", f"--award-id={AWARD_ID}")

    assert ended.exit_code == 1
    assert ended.stderr == "AWARD_ARCHIVED: As scripted. It is revision 1,200.\n"


async def test_a_dry_run_of_an_award_makes_none(server: ScriptedServer, run: Run) -> None:
    standing = types_pb2.Standing(user_id="ada", total=30, rank=2)
    server.script("GetStanding", answer(leaderboards.GetStandingResponse(standing=standing)))

    ended = await run("--json", "award", "main", "ada", "10", "--reason=x", "--dry-run")

    assert json.loads(ended.stdout) == {
        "dry_run": True,
        "user_id": "ada",
        "total_before": 30,
        "total_after": 40,
        "action_id": "mo:x",
    }
    assert [call.method for call in server.received] == ["GetStanding"]


async def test_a_reason_that_is_no_id_is_wrong_usage(server: ScriptedServer, run: Run) -> None:
    ended = await run("award", "main", "ada", "10", "--reason=it was a mistake")

    assert ended.exit_code == 2
    assert "no id of the ledger" in ended.stderr
    assert server.received == []


async def test_one_award_is_taken_back(server: ScriptedServer, run: Run) -> None:
    server.script("ReverseAward", answer(corrections.ReverseAwardResponse(reversal=REVERSAL, rank=3)))

    ended = await run(
        "reverse", "main", AWARD_ID, "--reason=the answer had leaked", f"--reversal-id={REVERSAL_ID}"
    )

    assert ended.exit_code == 0
    assert "final_periods  day:2026-11-29" in ended.stdout
    (call,) = server.received
    assert call.request == corrections.ReverseAwardRequest(
        board_id="main",
        award_id=AWARD_ID,
        reversal_id=REVERSAL_ID,
        reason="the answer had leaked",
        on_behalf_of="mo",
    )


async def test_a_dry_run_of_a_reversal_reverses_nothing(server: ScriptedServer, run: Run) -> None:
    award = scores.AwardResult(award_id=AWARD_ID, revision=7, points=10, total=30, reversed=True)
    server.script("GetAward", answer(scores.GetAwardResponse(result=award)))

    ended = await run("reverse", "main", AWARD_ID, "--reason=x", "--dry-run")

    assert "reversed_before  yes" in ended.stdout
    assert [call.method for call in server.received] == ["GetAward"]


async def test_many_awards_are_planned_and_then_taken_back(server: ScriptedServer, run: Run) -> None:
    done = corrections.ReverseAwardsResponse(awards=2, reversed=2)
    server.script("ReverseAwards", answer(PLAN), answer(done))

    ended = await run(
        "reverse", "main", "--action=p1", "--from=2026-11-30", "--until=2026-11-30T12:00:00+01:00",
        "--reason=leaked", "--yes",
    )  # fmt: skip

    assert ended.exit_code == 0
    assert ended.stdout.startswith("awards  2\npoints  30\nusers   1\nuser  total  then  rank  then\n")
    assert ended.stdout.endswith("reversed  2\nof        2\n")
    plan, apply = (call.request for call in server.received)
    assert plan.filter == corrections.AwardFilter(
        action_id="p1",
        recorded_from=_instant(datetime(2026, 11, 30, tzinfo=UTC)),
        recorded_until=_instant(datetime(2026, 11, 30, 11, tzinfo=UTC)),
    )
    assert (plan.validate_only, apply.plan_token, apply.reason) == (True, "plan", "leaked")


@pytest.mark.parametrize("option", [[], ["--json"]])
async def test_many_awards_are_not_taken_back_where_nobody_can_be_asked(
    server: ScriptedServer, run: Run, option: list[str]
) -> None:
    server.script("ReverseAwards", answer(PLAN))

    ended = await run(*option, "reverse", "main", "--user=ada", "--reason=leaked")

    assert ended.exit_code == 2
    assert "add --yes" in ended.stderr
    assert len(server.received) == 1


async def test_a_dry_run_shows_the_plan_alone(server: ScriptedServer, run: Run) -> None:
    server.script("ReverseAwards", answer(PLAN))

    ended = await run("--json", "reverse", "main", "--user=ada", "--reason=leaked", "--dry-run")

    assert ended.exit_code == 0
    plan = json.loads(ended.stdout)
    assert (plan["awards"], plan["moves"][0]["rank_after"]) == (2, None)
    assert len(server.received) == 1


async def test_awards_are_named_or_selected(server: ScriptedServer, run: Run) -> None:
    for arguments in (["reverse", "main"], ["reverse", "main", AWARD_ID, "--user=ada"]):
        ended = await run(*arguments, "--reason=x")
        assert ended.exit_code == 2
    assert server.received == []


@pytest.mark.parametrize(
    ("arguments", "visibility"),
    [
        (["hide"], corrections.VISIBILITY_HIDDEN),
        (["hide", "--shadow"], corrections.VISIBILITY_SHADOWED),
        (["show"], corrections.VISIBILITY_VISIBLE),
    ],
)
async def test_users_are_hidden_and_shown(
    server: ScriptedServer, run: Run, arguments: list[str], visibility: corrections.Visibility.ValueType
) -> None:
    response = corrections.SetUserVisibilityResponse(
        visibility=visibility, before=corrections.VISIBILITY_HIDDEN, revision=7
    )
    server.script("SetUserVisibility", answer(response))

    ended = await run(*arguments, "main", "ada", "--reason=cheats")

    assert ended.exit_code == 0
    (call,) = server.received
    assert (call.request.visibility, call.request.on_behalf_of) == (visibility, "mo")


async def test_an_unknown_outcome_says_how_to_find_out(server: ScriptedServer, run: Run) -> None:
    server.script("ReverseAward", reject(StatusCode.UNAVAILABLE, "RECORD_UNAVAILABLE"))

    ended = await run("--timeout=0.3", "reverse", "main", AWARD_ID, "--reason=x")

    assert ended.exit_code == 1
    name = UUID(server.received[0].request.reversal_id)
    assert f"repeat the command with --reversal-id {name}" in ended.stderr


async def test_what_the_policy_denies_fails(server: ScriptedServer, run: Run) -> None:
    server.script("SetUserVisibility", reject(StatusCode.PERMISSION_DENIED, "NOT_ALLOWED"))

    ended = await run("hide", "main", "ada", "--reason=cheats")

    assert (ended.exit_code, ended.stderr) == (1, "NOT_ALLOWED: As scripted.\n")
