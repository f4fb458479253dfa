"""What moderators do, over HTTP, before a score service with the ledger of the test."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx2 as httpx
import pytest
from tests.action_gateway.scripted_ledger import GATEWAY, ScriptedLedger
from tests.fixtures.clients.roles import grant, revoke
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.gateway import Gateway, Player, StartGateway

from conformance.server.scripted import ScriptedServer
from local_stack.certificates import CertificateFiles
from score_api.v1 import correction_service_pb2 as corrections

REASON = "A leaked answer."
OTHER_ID = "00000000-0000-4000-8000-00000000ffff"


@pytest.fixture
async def ledger() -> ScriptedLedger:
    return ScriptedLedger()


@pytest.fixture
async def server(
    server_certificate: CertificateFiles, ledger: ScriptedLedger
) -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer(server_certificate)
    ledger.serve_by(server)
    async with server:
        yield server


@pytest.fixture
async def gateway(start_gateway: StartGateway, server: ScriptedServer) -> Gateway:
    return await start_gateway(score_target=server.target)


@pytest.fixture
async def moderator(gateway: Gateway) -> Player:
    moderator = await gateway.player("mod")
    await grant(gateway, moderator)
    return moderator


def code(response: httpx.Response) -> tuple[int, str]:
    """Return what a request failed with."""
    return response.status_code, response.json()["code"]


def reversal(award_id: str, **changes: Any) -> dict[str, Any]:
    body = {"boardId": "main", "awardId": award_id, "reversalId": str(uuid.uuid4()), "reason": REASON}
    return body | changes


async def test_only_moderators_get_in_and_only_as_long_as_they_are(
    gateway: Gateway, moderator: Player
) -> None:
    stranger = await gateway.player()
    for player, status in ((stranger, 403), (moderator, 200)):
        for path in ("/boards", "/suspicions"):
            assert (await player.get(f"/moderation{path}")).status_code == status
    assert code(await stranger.post("/moderation/reversals", {})) == (403, "moderator_only")
    await revoke(gateway, moderator)

    assert code(await moderator.get("/moderation/boards")) == (403, "moderator_only")
    assert code(await gateway.http.get("/api/v1/moderation/boards")) == (401, "unauthenticated")


async def test_a_player_is_found_by_name_and_by_id(
    gateway: Gateway, moderator: Player, ledger: ScriptedLedger
) -> None:
    ada = await gateway.player("Ada")
    ledger.award(ada.user_id, 30)
    ledger.award("bob", 50)
    by_name = await moderator.get("/moderation/player?username=aDA")
    by_id = await moderator.get(f"/moderation/player?userId={ada.user_id}")
    foreign = (await moderator.get("/moderation/player?userId=bob")).json()

    assert by_name.json() == by_id.json()
    shown = by_name.json()
    assert (shown["userId"], shown["username"], shown["roles"]) == (ada.user_id, "Ada", [])
    assert shown["places"] == [{"boardId": "main", "score": 30, "rank": 2, "visibility": "visible"}]
    assert (foreign["username"], foreign["createdAt"], foreign["places"][0]["score"]) == (None, None, 50)
    for unknown in ("username=nobody", f"userId={uuid.uuid4()}"):
        assert code(await moderator.get(f"/moderation/player?{unknown}")) == (404, "player_not_found")
    for faulty in ("", "username=a&userId=b", "userId=a%20b", "username=", "username=a%00b"):
        assert code(await moderator.get(f"/moderation/player?{faulty}")) == (422, "invalid_request")


async def test_a_player_of_another_service_is_found_without_points(
    moderator: Player, ledger: ScriptedLedger
) -> None:
    award = ledger.award("carol", 10)
    await moderator.post("/moderation/reversals", reversal(award.award_id))
    found = await moderator.get("/moderation/player?userId=carol")

    assert (found.status_code, found.json()["places"]) == (200, [])
    assert code(await moderator.get("/moderation/player?userId=dora")) == (404, "player_not_found")


async def test_history_has_awards_and_reversals_page_by_page(
    gateway: Gateway, moderator: Player, ledger: ScriptedLedger
) -> None:
    ada = await gateway.player("Ada")
    awards = [ledger.award(ada.user_id, points) for points in (1, 2, 3)]
    ledger.award("bob", 50)
    await moderator.post("/moderation/reversals", reversal(awards[1].award_id))
    first = (await moderator.get(f"/moderation/awards?boardId=main&userId={ada.user_id}&limit=2")).json()
    rest = f"/moderation/awards?boardId=main&userId={ada.user_id}&limit=2&pageToken={first['nextPageToken']}"
    second = (await moderator.get(rest)).json()
    everyone = (await moderator.get("/moderation/awards?boardId=main")).json()

    assert [one["points"] for one in (*first["awards"], *second["awards"])] == [3, 2, 1]
    assert "nextPageToken" not in second
    assert [one["username"] for one in everyone["awards"]] == [None, "Ada", "Ada", "Ada"]
    assert first["awards"][0]["caller"] == GATEWAY
    assert first["awards"][0]["reversal"] is None
    taken = first["awards"][1]["reversal"]
    assert (taken["reason"], taken["onBehalfOf"], taken["points"]) == (REASON, moderator.user_id, 2)
    assert code(await moderator.get("/moderation/awards?boardId=none")) == (404, "board_not_found")


async def test_history_says_how_far_it_is_archived_and_an_archived_award_is_not_taken_back(
    moderator: Player, ledger: ScriptedLedger
) -> None:
    taken, old, _ = (ledger.award("ada", points) for points in (1, 2, 3))
    body = reversal(taken.award_id)
    await moderator.post("/moderation/reversals", body)
    assert "archivedRevision" not in (await moderator.get("/moderation/awards?boardId=main")).json()
    ledger.archived_revision = old.revision
    history = (await moderator.get("/moderation/awards?boardId=main")).json()

    assert ([one["points"] for one in history["awards"]], history["archivedRevision"]) == ([3], 2)
    rejected = await moderator.post("/moderation/reversals", reversal(old.award_id))
    assert code(rejected) == (409, "award_archived")
    assert (await moderator.post("/moderation/reversals", body)).json()["replayed"]


async def test_an_award_is_taken_back_once_however_often_it_is_asked_for(
    gateway: Gateway, moderator: Player, ledger: ScriptedLedger
) -> None:
    ledger.award("ada", 10)
    award = ledger.award("ada", 5)
    body = reversal(award.award_id)
    first = (await moderator.post("/moderation/reversals", body)).json()
    again = (await moderator.post("/moderation/reversals", body)).json()

    assert (first["replayed"], again["replayed"]) == (False, True)
    assert first["reversal"] == again["reversal"]
    assert (first["reversal"]["points"], first["reversal"]["total"], first["rank"]) == (5, 10, 1)
    assert ledger.asked[0].on_behalf_of == moderator.user_id
    rejected = await moderator.post("/moderation/reversals", reversal(award.award_id))
    assert code(rejected) == (409, "award_reversed")
    absent = await moderator.post("/moderation/reversals", reversal(OTHER_ID))
    assert code(absent) == (404, "award_not_found")


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": ""},
        {"reason": "x" * 501},
        {"reason": None},
        {"awardId": "x"},
        {"reversalId": 1},
        {"boardId": "a b"},
        {"more": 1},
    ],
)
async def test_a_faulty_request_changes_nothing(
    moderator: Player, ledger: ScriptedLedger, changes: dict[str, Any]
) -> None:
    award = ledger.award("ada", 10)
    response = await moderator.post("/moderation/reversals", reversal(award.award_id, **changes))

    assert code(response) == (422, "invalid_request")
    assert ledger.asked == []


async def test_a_plan_tells_what_would_change_and_an_apply_does_it(
    gateway: Gateway, moderator: Player, ledger: ScriptedLedger
) -> None:
    ada = await gateway.player("Ada")
    for points in (1, 2, 3, 4, 5):
        ledger.award(ada.user_id, points)
    ledger.award(ada.user_id, 100, "other")
    body = {"boardId": "main", "filter": {"userId": ada.user_id, "actionId": "quick"}}
    plan = (await moderator.post("/moderation/reversals/plan", body)).json()
    assert {name: plan[name] for name in ("awards", "points", "users")} == {
        "awards": 5,
        "points": 15,
        "users": 1,
    }
    assert plan["moves"] == [
        {
            "userId": ada.user_id,
            "username": "Ada",
            "totalBefore": 115,
            "totalAfter": 100,
            "rankBefore": 1,
            "rankAfter": 1,
        }
    ]
    assert ledger.total(ada.user_id) == 115
    apply = body | {"planToken": plan["planToken"], "reason": REASON}
    applied = (await moderator.post("/moderation/reversals/apply", apply)).json()

    assert applied == {"reversed": 5, "done": True}
    assert ledger.total(ada.user_id) == 100
    assert {(one.reason, one.on_behalf_of) for one in ledger.asked} == {(REASON, moderator.user_id)}
    assert (await moderator.post("/moderation/reversals/apply", apply)).json() == applied
    ledger.stale = True
    assert code(await moderator.post("/moderation/reversals/apply", apply)) == (409, "plan_stale")


@pytest.mark.parametrize(
    "filter_",
    [
        {},
        {"userId": ""},
        {"recordedFrom": "2026-11-30T00:00:00"},
        {"recordedFrom": "x"},
        {"more": 1},
        {"recordedFrom": "0001-01-01T00:00:00+14:00"},
        {"recordedUntil": "9999-12-31T23:59:59-14:00"},
    ],
)
async def test_a_filter_selects_something_in_particular(moderator: Player, filter_: dict[str, Any]) -> None:
    response = await moderator.post("/moderation/reversals/plan", {"boardId": "main", "filter": filter_})

    assert code(response) == (422, "invalid_request")


async def test_an_apply_that_takes_long_tells_how_far_it_has_come(
    gateway: Gateway, moderator: Player, ledger: ScriptedLedger, server: ScriptedServer
) -> None:
    for _ in range(6):
        ledger.award("ada", 1)
    moderation = gateway.running.parts.moderation
    moderation._apply_seconds = 0.5
    step, steps = ledger.reverse_awards, 0

    async def slow(request: Any, context: Any) -> corrections.ReverseAwardsResponse:
        nonlocal steps
        steps += not request.validate_only
        if steps == 2:
            steps += 1
            await asyncio.sleep(20)
        return await step(request, context)

    server.script("ReverseAwards", slow)
    body = {"boardId": "main", "filter": {"userId": "ada"}}
    plan = (await moderator.post("/moderation/reversals/plan", body)).json()
    apply = body | {"planToken": plan["planToken"], "reason": REASON}
    first = (await moderator.post("/moderation/reversals/apply", apply)).json()
    moderation._apply_seconds = 10
    second = (await moderator.post("/moderation/reversals/apply", apply)).json()

    assert first == {"reversed": 2, "done": False}
    assert second == {"reversed": 6, "done": True}


async def test_a_player_is_hidden_shadowed_and_shown_again(
    gateway: Gateway, moderator: Player, ledger: ScriptedLedger
) -> None:
    ledger.award("ada", 10)
    seen = []
    for visibility in ("hidden", "shadowed", "visible"):
        body = {"boardId": "main", "userId": "ada", "visibility": visibility, "reason": REASON}
        answer = (await moderator.post("/moderation/visibility", body)).json()
        shown = (await moderator.get("/moderation/player?userId=ada")).json()["places"][0]
        seen.append((answer["before"], answer["visibility"], shown["visibility"], shown["rank"]))

    assert seen == [
        ("visible", "hidden", "hidden", None),
        ("hidden", "shadowed", "shadowed", 1),
        ("shadowed", "visible", "visible", 1),
    ]
    assert {(one.reason, one.on_behalf_of) for one in ledger.asked} == {(REASON, moderator.user_id)}
    body = {"boardId": "main", "userId": "eve", "visibility": "hidden", "reason": REASON}
    assert code(await moderator.post("/moderation/visibility", body)) == (404, "standing_not_found")
    body |= {"visibility": "gone"}
    assert code(await moderator.post("/moderation/visibility", body)) == (422, "invalid_request")


async def test_what_the_policy_does_not_allow_is_named(moderator: Player, ledger: ScriptedLedger) -> None:
    award = ledger.award("ada", 10)
    ledger.denied |= {"ListAwards", "ReverseAward", "ReverseAwards", "SetUserVisibility"}
    body = {"boardId": "main", "userId": "ada", "visibility": "hidden", "reason": REASON}
    plan = {"boardId": "main", "filter": {"userId": "ada"}}
    responses = [
        await moderator.get("/moderation/awards?boardId=main"),
        await moderator.post("/moderation/reversals", reversal(award.award_id)),
        await moderator.post("/moderation/reversals/plan", plan),
        await moderator.post("/moderation/visibility", body),
    ]

    assert {code(response) for response in responses} == {(502, "score_service_denied")}
    assert [response.json()["methods"] for response in responses] == [
        ["score_api.v1.LedgerService/ListAwards"],
        ["score_api.v1.CorrectionService/ReverseAward"],
        ["score_api.v1.CorrectionService/ReverseAwards"],
        ["score_api.v1.CorrectionService/SetUserVisibility"],
    ]


async def test_suspicions_are_a_queue_of_one_row_a_player_and_signal(
    gateway: Gateway, moderator: Player
) -> None:
    ada, bob = await gateway.player("Ada"), await gateway.player("Bob")
    token = await ada.start()
    for _ in range(2):
        await ada.complete(token, "wrong")
    await bob.complete(token)

    async def queue() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await moderator.get("/moderation/suspicions")).json()["suspicions"]
        return found

    async def is_complete() -> bool:
        return sum(int(one["count"]) for one in await queue()) == 3

    await eventually(is_complete)
    rows = {(one["username"], one["signal"]): one for one in await queue()}
    assert {key: one["count"] for key, one in rows.items()} == {
        ("Ada", "wrong_answer"): 2,
        ("Bob", "token_foreign"): 1,
    }
    wrong = rows["Ada", "wrong_answer"]
    assert wrong["firstAt"] <= wrong["lastAt"]
    of_ada = (await moderator.get("/moderation/player?username=ada")).json()["suspicions"]
    assert of_ada == [wrong]

    seen = {"userId": ada.user_id, "signal": "wrong_answer", "lastAt": wrong["firstAt"]}
    stale = seen | {"lastAt": "2020-01-01T00:00:00Z"}
    assert (await moderator.post("/moderation/suspicions/dismiss", stale)).status_code == 204
    assert len(await queue()) == 2
    fresh = seen | {"lastAt": wrong["lastAt"]}
    for _ in range(2):
        assert (await moderator.post("/moderation/suspicions/dismiss", fresh)).status_code == 204
    assert [one["signal"] for one in await queue()] == ["token_foreign"]


async def test_fields_of_another_type_or_name_are_rejected(moderator: Player) -> None:
    path = "/moderation/suspicions/dismiss"
    body = {"userId": "ada", "signal": "wrong_answer", "lastAt": "2020-01-01T00:00:00Z"}
    assert (await moderator.post(path, body)).status_code == 204

    for change in ({"lastAt": 1_577_836_800}, {"signal": 1}):
        assert code(await moderator.post(path, body | change)) == (422, "invalid_request")
    named = {"user_id": "ada", "signal": "wrong_answer", "last_at": body["lastAt"]}
    assert code(await moderator.post(path, named)) == (422, "invalid_request")


async def test_only_suspicions_of_accounts_are_kept(gateway: Gateway, moderator: Player) -> None:
    ada = await gateway.player("Ada")
    gateway.running.parts.suspicions._note_user(str(uuid.uuid4()), "wrong_answer")
    gateway.running.parts.suspicions._note_user(ada.user_id, "wrong_answer")

    async def is_noted() -> bool:
        found = (await moderator.get("/moderation/suspicions")).json()["suspicions"]
        return bool([one["userId"] for one in found] == [ada.user_id])

    await eventually(is_noted)
