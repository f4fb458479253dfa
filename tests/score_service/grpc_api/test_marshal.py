"""Requests are read whole and rejected with every fault; answers say what the values say."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from score_api.v1 import leaderboard_service_pb2 as leaderboard_pb
from score_api.v1 import score_service_pb2 as score_pb
from score_api.v1 import types_pb2 as types_pb
from score_service.domain.award import AwardOutcome, RecordedAward
from score_service.domain.period import Period, PeriodChoice, PeriodKind, PeriodState, PeriodView
from score_service.domain.position import Position
from score_service.domain.standing import BoardView, Source, Standing
from score_service.domain.watch import Checkpoint, Snapshot, Update, WatchMessage
from score_service.errors import InvalidRequestError
from score_service.grpc_api import marshal

AWARD_ID = "0e8b3a52-6f0e-4a5e-9f3d-0c3a5f1f9a11"
REQUEST_ID = "7d1f4bb0-95c1-4a52-8f4e-2f1f6f0f7b22"
NEW_ID = str(uuid.UUID(int=7))
POSITION = Position(7, "00112233aabbccdd")
ADA = Standing("ada", 30, 1, 7)
BOB = Standing("bob", 20, None, 5)
WEEK_STARTS_AT = datetime(2026, 11, 30, 1, tzinfo=UTC)
WEEK_ENDS_AT = WEEK_STARTS_AT + timedelta(days=7)
WEEK_CLOSES_AT = WEEK_ENDS_AT + timedelta(minutes=10)
WEEK = PeriodView(
    Period(
        "week:2026-W49",
        PeriodKind.WEEK,
        WEEK_STARTS_AT,
        WEEK_ENDS_AT,
        WEEK_CLOSES_AT,
        WEEK_CLOSES_AT,
        "Atlantic/Azores",
        "2026f",
    ),
    PeriodState.CLOSING,
    WEEK_ENDS_AT,
    7,
)
ID_RULE = "must be 1 to 128 characters of [A-Za-z0-9._:@-]"
ODD_IDS = ["", "a b", "a\x00b", "ä", "\u202e", "a" * 129, "😀", "a/b", "{a}", "a\n"]


def award(**changes: Any) -> score_pb.AwardPointsRequest:
    known: dict[str, Any] = {
        "award_id": AWARD_ID,
        "board_id": "main",
        "user_id": "ada",
        "points": 10,
        "action_type": "puzzle",
        "action_id": "puzzle_1",
    }
    return score_pb.AwardPointsRequest(award=score_pb.Award(**(known | changes)), request_id=REQUEST_ID)


def faults_of(read: Any, *arguments: Any) -> dict[str, str]:
    with pytest.raises(InvalidRequestError) as caught:
        read(*arguments)
    return caught.value.fields


def award_faults(request: score_pb.AwardPointsRequest) -> dict[str, str]:
    return faults_of(marshal.read_award, request, "spiffe://a/b", "", lambda: NEW_ID)


def test_an_award_is_read_whole() -> None:
    read = marshal.read_award(award(), "spiffe://a/b", "t" * 32, lambda: NEW_ID)
    assert (read.board_id, read.user_id, read.points) == ("main", "ada", 10)
    assert (read.award_id, read.request_id) == (AWARD_ID, REQUEST_ID)
    assert (read.action_type, read.action_id) == ("puzzle", "puzzle_1")
    assert (read.caller, read.trace_id) == ("spiffe://a/b", "t" * 32)


def test_an_award_without_request_id_gets_one_of_its_own() -> None:
    request = award()
    request.ClearField("request_id")
    assert marshal.read_award(request, "spiffe://a/b", "", lambda: NEW_ID).request_id == NEW_ID


def test_an_award_id_may_be_written_in_capitals() -> None:
    read = marshal.read_award(award(award_id=AWARD_ID.upper()), "spiffe://a/b", "", lambda: NEW_ID)
    assert read.award_id == AWARD_ID


def test_an_empty_request_names_every_field() -> None:
    assert award_faults(score_pb.AwardPointsRequest()) == {
        "award.award_id": "must be a UUID",
        "award.board_id": ID_RULE,
        "award.user_id": ID_RULE,
        "award.points": "must be 1 to 1000000",
        "award.action_type": ID_RULE,
        "award.action_id": ID_RULE,
    }


@pytest.mark.parametrize("field", ["board_id", "user_id", "action_type", "action_id"])
@pytest.mark.parametrize("text", ODD_IDS)
def test_an_id_with_other_characters_or_length_is_rejected(field: str, text: str) -> None:
    assert award_faults(award(**{field: text})) == {f"award.{field}": ID_RULE}


@pytest.mark.parametrize("points", [0, -1, 1_000_001, 2**63 - 1, -(2**63)])
def test_points_out_of_range_are_rejected(points: int) -> None:
    assert set(award_faults(award(points=points))) == {"award.points"}


@pytest.mark.parametrize("points", [1, 1_000_000])
def test_points_at_the_edge_of_the_range_are_taken(points: int) -> None:
    assert marshal.read_award(award(points=points), "spiffe://a/b", "", lambda: NEW_ID).points == points


@pytest.mark.parametrize(
    "text", ["", "x", AWARD_ID[:-1], AWARD_ID + "0", AWARD_ID.replace("-", "_"), "0" * 36]
)
def test_what_is_no_uuid_is_rejected(text: str) -> None:
    assert award_faults(award(award_id=text)) == {"award.award_id": "must be a UUID"}
    if text:
        request = award()
        request.request_id = text
        assert award_faults(request) == {"request_id": "must be a UUID"}


def test_faults_do_not_repeat_what_was_sent() -> None:
    request = award(user_id="secret user", points=-7_777)
    assert not any("secret" in said or "7777" in said for said in award_faults(request).values())


def test_as_many_faults_are_reported_as_fit_into_an_answer() -> None:
    request = leaderboard_pb.BatchGetStandingsRequest(board_id="main", user_ids=["?"] * 1000)
    assert len(faults_of(marshal.read_standings_query, request)) == 16


def test_users_are_asked_for_once_each_in_their_order() -> None:
    request = leaderboard_pb.BatchGetStandingsRequest(board_id="main", user_ids=["b", "a", "b"])
    assert marshal.read_standings_query(request) == ("main", ["b", "a"], 0, None)


@pytest.mark.parametrize("count", [0, 1001])
def test_too_few_or_too_many_users_are_rejected(count: int) -> None:
    users = [f"user-{n}" for n in range(count)]
    request = leaderboard_pb.BatchGetStandingsRequest(board_id="main", user_ids=users)
    assert faults_of(marshal.read_standings_query, request) == {"user_ids": "must have 1 to 1000 entries"}


@pytest.mark.parametrize(("asked", "used"), [(0, 50), (1, 1), (1000, 1000), (1001, 1000), (2**31 - 1, 1000)])
def test_a_page_has_the_size_asked_for_within_bounds(asked: int, used: int) -> None:
    request = leaderboard_pb.ListStandingsRequest(board_id="main", page_size=asked, page_token="t")
    assert marshal.read_page_query(request) == ("main", used, "t", 0, None)


@pytest.mark.parametrize("size", [-1, -(2**31)])
def test_a_negative_page_size_is_rejected(size: int) -> None:
    request = leaderboard_pb.ListStandingsRequest(board_id="main", page_size=size)
    assert faults_of(marshal.read_page_query, request) == {"page_size": "must not be negative"}


@pytest.mark.parametrize("radius", [-1, 101, 2**31 - 1])
def test_a_radius_out_of_range_is_rejected(radius: int) -> None:
    request = leaderboard_pb.ListStandingsAroundRequest(board_id="main", user_id="ada", radius=radius)
    assert faults_of(marshal.read_neighbours_query, request) == {"radius": "must be 0 to 100"}


@pytest.mark.parametrize(
    ("read", "request_type"),
    [
        (marshal.read_standing_query, leaderboard_pb.GetStandingRequest),
        (marshal.read_standings_query, leaderboard_pb.BatchGetStandingsRequest),
        (marshal.read_page_query, leaderboard_pb.ListStandingsRequest),
        (marshal.read_neighbours_query, leaderboard_pb.ListStandingsAroundRequest),
    ],
)
def test_every_read_rejects_a_negative_least_revision_and_an_odd_board(read: Any, request_type: Any) -> None:
    faults = faults_of(read, request_type(board_id="?", min_revision=-1))
    assert faults["board_id"] == ID_RULE
    assert faults["min_revision"] == "must not be negative"


READS: list[tuple[Any, Any]] = [
    (marshal.read_standing_query, leaderboard_pb.GetStandingRequest(user_id="ada")),
    (marshal.read_standings_query, leaderboard_pb.BatchGetStandingsRequest(user_ids=["ada"])),
    (marshal.read_page_query, leaderboard_pb.ListStandingsRequest()),
    (marshal.read_neighbours_query, leaderboard_pb.ListStandingsAroundRequest(user_id="ada")),
]


def read_choice(read: Any, request: Any, text: str) -> PeriodChoice | None:
    request.board_id, request.period = "main", text
    choice: PeriodChoice | None = read(request)[-1]
    return choice


@pytest.mark.parametrize(("read", "request_"), READS)
@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("", None),
        ("all_time", None),
        ("week", PeriodChoice(PeriodKind.WEEK)),
        ("month:previous", PeriodChoice(PeriodKind.MONTH, is_previous=True)),
        ("day:2026-11-30", PeriodChoice(PeriodKind.DAY, "day:2026-11-30")),
    ],
)
def test_every_read_says_which_period_it_wants(
    read: Any, request_: Any, text: str, choice: PeriodChoice | None
) -> None:
    assert read_choice(read, request_, text) == choice


@pytest.mark.parametrize(("read", "request_"), READS)
@pytest.mark.parametrize("text", ["Day", "day:", "day: previous", "day:30", "year", "all_time:previous", " "])
def test_what_names_no_period_is_rejected(read: Any, request_: Any, text: str) -> None:
    assert set(faults_of(read_choice, read, request_, text)) == {"period"}


def test_a_watch_says_which_period_it_wants() -> None:
    request = leaderboard_pb.WatchLeaderboardRequest(board_id="main", top_n=1, period="season")
    assert marshal.read_watch(request).choice == PeriodChoice(PeriodKind.SEASON)
    request.period = "seasons"
    assert set(faults_of(marshal.read_watch, request)) == {"period"}


def test_an_award_may_say_when_it_happened_to_the_microsecond() -> None:
    happened = Timestamp(seconds=1_796_040_000, nanos=123_456_789)
    read = marshal.read_award(award(occurred_at=happened), "spiffe://a/b", "", lambda: NEW_ID)
    assert read.occurred_at == datetime(2026, 11, 30, 12, 0, 0, 123_456, tzinfo=UTC)
    assert marshal.read_award(award(), "spiffe://a/b", "", lambda: NEW_ID).occurred_at is None


@pytest.mark.parametrize(
    ("seconds", "nanos"), [(2**62, 0), (-(2**62), 0), (253_402_300_800, 0), (0, -1), (0, 1_000_000_000)]
)
def test_what_is_no_time_is_rejected(seconds: int, nanos: int) -> None:
    happened = Timestamp(seconds=seconds, nanos=nanos)
    assert award_faults(award(occurred_at=happened)) == {"award.occurred_at": "is no time"}


def test_an_award_is_named_by_board_and_id() -> None:
    request = score_pb.GetAwardRequest(board_id="main", award_id=AWARD_ID)
    assert marshal.read_award_name(request) == ("main", AWARD_ID)
    assert set(faults_of(marshal.read_award_name, score_pb.GetAwardRequest())) == {"board_id", "award_id"}


def test_a_watch_is_read_whole() -> None:
    request = leaderboard_pb.WatchLeaderboardRequest(
        board_id="main", top_n=100, after_position=str(POSITION), all_scores=True, user_ids=["ada"]
    )
    read = marshal.read_watch(request)
    assert (read.board_id, read.top_n, read.after) == ("main", 100, POSITION)
    assert (read.all_scores, read.user_ids) == (True, frozenset({"ada"}))


def test_a_watch_may_begin_anywhere() -> None:
    request = leaderboard_pb.WatchLeaderboardRequest(board_id="main", top_n=1)
    assert marshal.read_watch(request).after is None


@pytest.mark.parametrize("top_n", [0, -1, 101])
def test_a_top_out_of_range_is_rejected(top_n: int) -> None:
    request = leaderboard_pb.WatchLeaderboardRequest(board_id="main", top_n=top_n)
    assert faults_of(marshal.read_watch, request) == {"top_n": "must be 1 to 100"}


@pytest.mark.parametrize("text", ["", "7", "7-", "-7-00112233aabbccdd", "7-XYZ", f"{2**63}-00112233aabbccdd"])
def test_what_is_no_position_is_rejected(text: str) -> None:
    request = leaderboard_pb.WatchLeaderboardRequest(board_id="main", top_n=1, after_position=text)
    assert faults_of(marshal.read_watch, request) == {"after_position": "is no position"}


@pytest.mark.parametrize("rank", [None, 3])
def test_a_result_has_what_was_recorded(rank: int | None) -> None:
    recorded = RecordedAward(
        award_id=AWARD_ID,
        revision=6,
        position=POSITION,
        user_id="ada",
        points=10,
        total=30,
        action_type="puzzle",
        action_id="puzzle_1",
        request_id=REQUEST_ID,
    )
    written = marshal.write_result(AwardOutcome(recorded, rank, replayed=True))
    assert (written.award_id, written.revision, written.position) == (AWARD_ID, 6, "7-00112233aabbccdd")
    assert (written.points, written.total, written.replayed) == (10, 30, True)
    assert (written.rank if written.HasField("rank") else None) == rank


@pytest.mark.parametrize(
    ("source", "said"), [(Source.CACHE, types_pb.SOURCE_CACHE), (Source.RECORD, types_pb.SOURCE_RECORD)]
)
@pytest.mark.parametrize(
    "response",
    [
        leaderboard_pb.BatchGetStandingsResponse,
        leaderboard_pb.ListStandingsResponse,
        leaderboard_pb.ListStandingsAroundResponse,
    ],
)
def test_a_view_has_its_position_and_its_source(response: Any, source: Source, said: int) -> None:
    written = marshal.write_view(BoardView((ADA, BOB), POSITION, source), response)
    assert (written.revision, written.position, written.source) == (7, str(POSITION), said)
    assert [standing.user_id for standing in written.standings] == ["ada", "bob"]
    assert written.standings[0].rank == 1
    assert not written.standings[1].HasField("rank")


def test_a_page_has_the_token_of_the_next() -> None:
    view = BoardView((), POSITION, Source.CACHE, "next")
    response = leaderboard_pb.ListStandingsResponse
    assert marshal.write_view(view, response, next_page_token="next").next_page_token == "next"


def test_a_standing_is_written_with_its_revision() -> None:
    written = marshal.write_standing(BoardView((ADA,), POSITION, Source.CACHE))
    assert (written.standing.total, written.standing.reached_revision) == (30, 7)
    assert written.revision == 7


def test_every_answer_says_which_period_it_shows() -> None:
    view = BoardView((ADA,), POSITION, Source.CACHE, period=WEEK)
    snapshot = WatchMessage(Snapshot((), reset=False, period=WEEK), POSITION, Source.CACHE)
    shown = types_pb.Period(
        id="week:2026-W49",
        kind=types_pb.PERIOD_KIND_WEEK,
        starts_at=Timestamp(seconds=1_796_000_400),
        ends_at=Timestamp(seconds=1_796_605_200),
        closes_at=Timestamp(seconds=1_796_605_800),
        state=types_pb.PERIOD_STATE_CLOSING,
        next_starts_at=Timestamp(seconds=1_796_605_200),
        entrants=7,
    )
    assert marshal.write_view(view, leaderboard_pb.ListStandingsResponse).period == shown
    assert marshal.write_standing(view).period == shown
    assert marshal.write_watch_message(snapshot).snapshot.period == shown


def test_the_next_start_is_left_out_where_none_is_known() -> None:
    assert not marshal.write_period(replace(WEEK, next_starts_at=None)).HasField("next_starts_at")


def test_an_answer_of_all_time_shows_no_period() -> None:
    assert not marshal.write_standing(BoardView((ADA,), POSITION, Source.CACHE)).HasField("period")
    snapshot = WatchMessage(Snapshot((), reset=False), POSITION, Source.CACHE)
    assert not marshal.write_watch_message(snapshot).snapshot.HasField("period")


def test_a_snapshot_is_written_with_its_mark() -> None:
    written = marshal.write_watch_message(WatchMessage(Snapshot((), reset=True), POSITION, Source.CACHE))
    assert written.WhichOneof("message") == "snapshot"
    assert written.snapshot.reset


@pytest.mark.parametrize(("top", "changed"), [(None, False), ((), True), ((ADA,), True)])
def test_an_update_distinguishes_an_unchanged_top_from_an_empty_one(
    top: tuple[Standing, ...] | None, *, changed: bool
) -> None:
    written = marshal.write_watch_message(WatchMessage(Update(top, (BOB,)), POSITION, Source.CACHE))
    assert written.WhichOneof("message") == "update"
    assert written.update.top_changed is changed
    assert [standing.user_id for standing in written.update.scores] == ["bob"]


def test_a_checkpoint_carries_a_position_only() -> None:
    written = marshal.write_watch_message(WatchMessage(Checkpoint(), POSITION, Source.RECORD))
    assert written.WhichOneof("message") == "checkpoint"
    assert (written.revision, written.position) == (7, str(POSITION))
