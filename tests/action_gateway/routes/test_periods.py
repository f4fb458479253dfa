"""Periods over HTTP, and actions of the day, with a gateway before a score service that a test scripts."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from google.protobuf.message import Message
from grpc import StatusCode
from tests.fixtures.services.gateway import Gateway, Player, StartGateway

from action_gateway.domain.action import Repeat, StartedAction, find_award_id
from conformance.server.scripted import Context, ScriptedServer, answer, play, reject
from local_stack.certificates import CertificateFiles
from score_api.v1 import board_service_pb2 as boards
from score_api.v1 import leaderboard_service_pb2 as leaderboards
from score_api.v1 import score_service_pb2 as scores
from score_api.v1 import types_pb2

UNKNOWN = reject(StatusCode.NOT_FOUND, "PERIOD_UNKNOWN")
SEASON = {
    "id": "season:spring",
    "kind": "season",
    "startsAt": "2026-11-30T00:00:00Z",
    "endsAt": "2026-12-14T00:00:00Z",
    "closesAt": "2026-12-14T00:10:00Z",
    "state": "open",
    "nextStartsAt": None,
}


def season(**changes: Any) -> types_pb2.Period:
    start = datetime(2026, 11, 30, tzinfo=UTC)
    fields: dict[str, Any] = {
        "id": "season:spring",
        "kind": types_pb2.PERIOD_KIND_SEASON,
        "starts_at": start,
        "ends_at": start + timedelta(days=14),
        "closes_at": start + timedelta(days=14, minutes=10),
        "state": types_pb2.PERIOD_STATE_OPEN,
        "entrants": 3,
    }
    return types_pb2.Period(**(fields | changes))


def day(date: datetime) -> types_pb2.Period:
    return season(
        id=f"day:{date.date()}",
        kind=types_pb2.PERIOD_KIND_DAY,
        starts_at=date,
        ends_at=date + timedelta(days=1),
        closes_at=date + timedelta(days=1),
    )


def standing(user_id: str, total: int, rank: int) -> types_pb2.Standing:
    return types_pb2.Standing(user_id=user_id, total=total, rank=rank, reached_revision=rank)


@pytest.fixture
async def server(server_certificate: CertificateFiles) -> AsyncIterator[ScriptedServer]:
    """Return a score service that has an empty board without periods, until a test says something else."""
    server = ScriptedServer(server_certificate)
    snapshot = leaderboards.WatchLeaderboardResponse(
        snapshot=leaderboards.Snapshot(), revision=7, position="7-00"
    )
    server.script("WatchLeaderboard", play(snapshot))
    server.script("ListStandings", UNKNOWN)
    server.script("ListPeriods", answer(boards.ListPeriodsResponse()))
    async with server:
        yield server


@pytest.fixture
async def gateway(start_gateway: StartGateway, server: ScriptedServer) -> Gateway:
    return await start_gateway(score_target=server.target)


@pytest.fixture
async def player(gateway: Gateway) -> Player:
    return await gateway.player("ada")


def code(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


async def test_a_page_is_of_the_period_asked_for_and_says_which_it_is(
    server: ScriptedServer, player: Player
) -> None:
    page = leaderboards.ListStandingsResponse(
        standings=[standing(player.user_id, 5, 1)], revision=7, next_page_token="more", period=season()
    )
    server.script("ListStandings", answer(page))

    body = (await player.get("/leaderboard", params={"period": "season"})).json()

    assert body["period"] == SEASON
    assert body["entries"] == [{"rank": 1, "userId": player.user_id, "username": "ada", "score": 5}]
    assert server.calls("ListStandings")[-1].request.period == "season"


async def test_a_player_without_points_in_a_period_has_none_there(
    server: ScriptedServer, player: Player
) -> None:
    server.script("ListStandingsAround", reject(StatusCode.NOT_FOUND, "STANDING_NOT_FOUND"))
    view = leaderboards.BatchGetStandingsResponse(revision=7, period=season())
    server.script("BatchGetStandings", answer(view))

    body = (await player.get("/leaderboard/me", params={"period": "season:spring"})).json()

    assert (body["me"]["score"], body["me"]["rank"], body["period"]) == (0, None, SEASON)
    asked = [
        server.calls(method)[-1].request.period for method in ("ListStandingsAround", "BatchGetStandings")
    ]
    assert asked == ["season:spring"] * 2


@pytest.mark.parametrize("path", ["/leaderboard", "/leaderboard/me", "/leaderboard/events"])
async def test_a_period_that_is_unknown_is_a_problem_of_its_own(
    server: ScriptedServer, player: Player, path: str
) -> None:
    async def reject_watch(request: Any, context: Context) -> AsyncIterator[Message | bytes]:
        yield await UNKNOWN(request, context)

    server.script("ListStandingsAround", UNKNOWN)
    server.script("WatchLeaderboard", reject_watch)

    assert code(await player.get(path, params={"period": "season"})) == (404, "period_unknown")
    for malformed in ("tomorrow", "day:2026", "season:", "week:next", "day\n", "x" * 300):
        response = await player.get(path, params={"period": malformed})
        assert code(response) == (422, "invalid_request"), malformed


@pytest.mark.parametrize("path", ["/leaderboard", "/leaderboard/me"])
async def test_a_board_without_awards_has_no_periods(
    server: ScriptedServer, player: Player, path: str
) -> None:
    for method in ("ListStandings", "ListStandingsAround", "ListPeriods"):
        server.script(method, reject(StatusCode.NOT_FOUND, "BOARD_NOT_FOUND"))

    assert code(await player.get(path, params={"period": "day"})) == (404, "period_unknown")
    assert (await player.get("/leaderboard/periods")).json() == {"current": [], "periods": []}


@pytest.mark.parametrize("path", ["/leaderboard", "/leaderboard/me", "/leaderboard/events"])
async def test_a_score_service_that_knows_no_periods_does_not_pass_for_one_that_does(
    server: ScriptedServer, player: Player, path: str
) -> None:
    server.script("ListStandings", answer(leaderboards.ListStandingsResponse(revision=7)))
    server.script("ListStandingsAround", answer(leaderboards.ListStandingsAroundResponse(revision=7)))

    assert (await player.get("/leaderboard", params={"period": "all_time"})).json()["period"] is None
    assert code(await player.get(path, params={"period": "day"})) == (404, "period_unknown")
    assert (await player.get("/leaderboard/periods")).json()["current"] == []


async def test_periods_are_listed_with_their_podiums(server: ScriptedServer, player: Player) -> None:
    async def find_season(request: Any, context: Context) -> Message | bytes:
        if request.period != "season":
            return await UNKNOWN(request, context)
        return leaderboards.ListStandingsResponse(period=season())

    server.script("ListStandings", find_season)
    final = boards.PeriodResult(
        period=season(
            id="season:winter", state=types_pb2.PERIOD_STATE_FINAL, next_starts_at=season().starts_at
        ),
        winners=[standing("stranger", 9, 1), standing(player.user_id, 5, 2)],
    )
    server.script(
        "ListPeriods",
        answer(boards.ListPeriodsResponse(results=[boards.PeriodResult(period=season()), final])),
    )

    body = (await player.get("/leaderboard/periods", params={"kind": "season", "limit": 2})).json()

    assert body["current"] == [SEASON]
    running, before = body["periods"]
    assert running == SEASON | {"entrants": 3, "podium": []}
    assert (before["id"], before["state"], before["nextStartsAt"]) == (
        "season:winter",
        "final",
        "2026-11-30T00:00:00Z",
    )
    assert before["podium"] == [
        {"rank": 1, "userId": "stranger", "username": None, "score": 9},
        {"rank": 2, "userId": player.user_id, "username": "ada", "score": 5},
    ]
    assert server.calls("ListPeriods")[-1].request == boards.ListPeriodsRequest(
        board_id="main", kind=types_pb2.PERIOD_KIND_SEASON, winners=3, page_size=2
    )
    assert [one["id"] for one in (await player.get("/leaderboard/periods")).json()["current"]] == [
        "season:spring"
    ]


@pytest.mark.parametrize("query", ["kind=year", "limit=0", "limit=101"])
async def test_an_invalid_list_of_periods_is_rejected(player: Player, query: str) -> None:
    assert code(await player.get(f"/leaderboard/periods?{query}")) == (422, "invalid_request")


@pytest.mark.parametrize(
    ("status", "reason"), [(StatusCode.PERMISSION_DENIED, "NOT_ALLOWED"), (StatusCode.UNIMPLEMENTED, "")]
)
async def test_past_periods_are_left_out_while_the_score_service_does_not_list_them(
    server: ScriptedServer, player: Player, status: StatusCode, reason: str
) -> None:
    server.script("ListPeriods", reject(status, reason))

    assert (await player.get("/leaderboard/periods")).json() == {"current": [], "periods": []}


async def test_periods_are_for_players_only(gateway: Gateway) -> None:
    assert code(await gateway.http.get("/api/v1/leaderboard/periods")) == (401, "unauthenticated")


class Ledger:
    """Makes awards and finds them again, as a score service does."""

    def __init__(self, server: ScriptedServer) -> None:
        self.award_ids: list[UUID] = []
        server.script("AwardPoints", self.award)
        server.script("GetAward", self.find)

    async def award(self, request: Any, _context: Context) -> Message:
        result = self._result(request.award.award_id)
        result.replayed = UUID(result.award_id) in self.award_ids
        if not result.replayed:
            self.award_ids.append(UUID(result.award_id))
        return scores.AwardPointsResponse(result=result)

    async def find(self, request: Any, context: Context) -> Message | bytes:
        if UUID(request.award_id) not in self.award_ids:
            return await reject(StatusCode.NOT_FOUND, "AWARD_NOT_FOUND")(request, context)
        return scores.GetAwardResponse(result=self._result(request.award_id))

    def _result(self, award_id: str) -> scores.AwardResult:
        return scores.AwardResult(award_id=award_id, revision=1, points=7, total=7)


def name_daily(player: Player, date: str) -> UUID:
    """Name the award of the sample action of a day."""
    return find_award_id(
        StartedAction(
            user_id=player.user_id,
            action_id="daily",
            version=1,
            board_id="main",
            points=7,
            repeat=Repeat.DAILY,
            min_ms=0,
            nonce=uuid4(),
            started_at_ms=0,
            expires_at=0,
            day=date,
        )
    )


async def test_an_action_of_the_day_follows_the_day_of_the_board(
    server: ScriptedServer, gateway: Gateway, player: Player
) -> None:
    ledger = Ledger(server)
    # A day of Auckland, say: it is another date there.
    today = datetime.fromtimestamp(gateway.clock(), UTC).replace(microsecond=0)
    tomorrow = today + timedelta(minutes=10)
    periods = [day(today - timedelta(hours=23, minutes=50)), day(tomorrow)]
    periods[0].id, periods[1].id = "day:2040-01-01", "day:2040-01-02"

    async def show(request: Any, _context: Context) -> Message:
        assert request.period == "day"
        is_over = gateway.clock() >= tomorrow.timestamp()
        return leaderboards.ListStandingsResponse(period=periods[is_over])

    server.script("ListStandings", show)
    token = await player.start("daily")
    assert (await player.complete(token, "d")).status_code == 200
    assert code(await player.post("/actions/start", {"actionId": "daily"})) == (
        409,
        "action_already_completed",
    )
    gateway.clock.advance(300)
    assert code(await player.post("/actions/start", {"actionId": "daily"})) == (
        409,
        "action_already_completed",
    )
    gateway.clock.advance(301)
    assert (await player.complete(await player.start("daily"), "d")).status_code == 200

    assert ledger.award_ids == [name_daily(player, date) for date in ("2040-01-01", "2040-01-02")]


async def test_a_token_of_yesterday_names_the_award_of_yesterday(
    server: ScriptedServer, gateway: Gateway, player: Player
) -> None:
    ledger = Ledger(server)
    now = datetime.fromtimestamp(gateway.clock(), UTC).replace(microsecond=0)
    first, second = day(now - timedelta(hours=12)), day(now)
    first.id, second.id = "day:2040-01-01", "day:2040-01-02"
    server.script("ListStandings", answer(leaderboards.ListStandingsResponse(period=first)))
    token = await player.start("daily")
    server.script("ListStandings", answer(leaderboards.ListStandingsResponse(period=second)))
    gateway.clock.advance(60)

    assert (await player.complete(token, "d")).status_code == 200
    assert (await player.complete(await player.start("daily"), "d")).status_code == 200
    assert code(await player.complete(token, "d")) == (409, "action_token_used")

    assert ledger.award_ids == [name_daily(player, date) for date in ("2040-01-01", "2040-01-02")]


async def test_an_action_of_the_day_goes_by_utc_on_a_board_without_days(
    server: ScriptedServer, gateway: Gateway, player: Player
) -> None:
    ledger = Ledger(server)
    today = datetime.fromtimestamp(gateway.clock(), UTC).date().isoformat()

    assert (await player.complete(await player.start("daily"), "d")).status_code == 200

    # Unless midnight came in between.
    if today == datetime.fromtimestamp(gateway.clock(), UTC).date().isoformat():
        assert ledger.award_ids == [name_daily(player, today)]


async def test_an_action_of_the_day_is_not_started_while_nobody_knows_the_day(
    start_gateway: StartGateway, server: ScriptedServer
) -> None:
    gateway = await start_gateway(score_target=server.target, score_timeout_seconds=0.5)
    server.script("ListStandings", reject(StatusCode.UNAVAILABLE, "RECORD_UNAVAILABLE"))

    response = await (await gateway.player()).post("/actions/start", {"actionId": "daily"})

    assert code(response) == (503, "unavailable")
