"""Requests are read whole and rejected with every fault; answers say what the values say."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from score_api.v1 import leaderboard_service_pb2 as leaderboard_pb
from score_api.v1 import types_pb2 as types_pb
from score_service.domain.board.period import Period, PeriodChoice, PeriodKind, PeriodState, PeriodView
from score_service.domain.ledger.position import Position
from score_service.domain.standings.standing import BoardView, Source, Standing
from score_service.domain.standings.watch import Checkpoint, Snapshot, Update, WatchMessage
from score_service.errors import InvalidRequestError
from score_service.grpc_api.leaderboard_service import messages
from score_service.grpc_api.messages import write_period

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


def faults_of(read: Any, *arguments: Any) -> dict[str, str]:
    with pytest.raises(InvalidRequestError) as caught:
        read(*arguments)
    return caught.value.fields


def test_as_many_faults_are_reported_as_fit_into_an_answer() -> None:
    request = leaderboard_pb.BatchGetStandingsRequest(board_id="main", user_ids=["?"] * 1000)
    assert len(faults_of(messages.read_standings_query, request)) == 16


def test_users_are_asked_for_once_each_in_their_order() -> None:
    request = leaderboard_pb.BatchGetStandingsRequest(board_id="main", user_ids=["b", "a", "b"])
    assert messages.read_standings_query(request) == ("main", ["b", "a"], 0, None)


@pytest.mark.parametrize("count", [0, 1001])
def test_too_few_or_too_many_users_are_rejected(count: int) -> None:
    users = [f"user-{n}" for n in range(count)]
    request = leaderboard_pb.BatchGetStandingsRequest(board_id="main", user_ids=users)
    assert faults_of(messages.read_standings_query, request) == {"user_ids": "must have 1 to 1000 entries"}


@pytest.mark.parametrize(("asked", "used"), [(0, 50), (1, 1), (1000, 1000), (1001, 1000), (2**31 - 1, 1000)])
def test_a_page_has_the_size_asked_for_within_bounds(asked: int, used: int) -> None:
    request = leaderboard_pb.ListStandingsRequest(board_id="main", page_size=asked, page_token="t")
    assert messages.read_page_query(request) == ("main", used, "t", 0, None)


@pytest.mark.parametrize("size", [-1, -(2**31)])
def test_a_negative_page_size_is_rejected(size: int) -> None:
    request = leaderboard_pb.ListStandingsRequest(board_id="main", page_size=size)
    assert faults_of(messages.read_page_query, request) == {"page_size": "must not be negative"}


@pytest.mark.parametrize("radius", [-1, 101, 2**31 - 1])
def test_a_radius_out_of_range_is_rejected(radius: int) -> None:
    request = leaderboard_pb.ListStandingsAroundRequest(board_id="main", user_id="ada", radius=radius)
    assert faults_of(messages.read_neighbours_query, request) == {"radius": "must be 0 to 100"}


@pytest.mark.parametrize(
    ("read", "request_type"),
    [
        (messages.read_standing_query, leaderboard_pb.GetStandingRequest),
        (messages.read_standings_query, leaderboard_pb.BatchGetStandingsRequest),
        (messages.read_page_query, leaderboard_pb.ListStandingsRequest),
        (messages.read_neighbours_query, leaderboard_pb.ListStandingsAroundRequest),
    ],
)
def test_every_read_rejects_a_negative_least_revision_and_an_odd_board(read: Any, request_type: Any) -> None:
    faults = faults_of(read, request_type(board_id="?", min_revision=-1))
    assert faults["board_id"] == ID_RULE
    assert faults["min_revision"] == "must not be negative"


READS: list[tuple[Any, Any]] = [
    (messages.read_standing_query, leaderboard_pb.GetStandingRequest(user_id="ada")),
    (messages.read_standings_query, leaderboard_pb.BatchGetStandingsRequest(user_ids=["ada"])),
    (messages.read_page_query, leaderboard_pb.ListStandingsRequest()),
    (messages.read_neighbours_query, leaderboard_pb.ListStandingsAroundRequest(user_id="ada")),
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
    assert messages.read_watch(request).choice == PeriodChoice(PeriodKind.SEASON)
    request.period = "seasons"
    assert set(faults_of(messages.read_watch, request)) == {"period"}


def test_a_watch_is_read_whole() -> None:
    request = leaderboard_pb.WatchLeaderboardRequest(
        board_id="main", top_n=100, after_position=str(POSITION), all_scores=True, user_ids=["ada"]
    )
    read = messages.read_watch(request)
    assert (read.board_id, read.top_n, read.after) == ("main", 100, POSITION)
    assert (read.all_scores, read.user_ids) == (True, frozenset({"ada"}))


def test_a_watch_may_begin_anywhere() -> None:
    request = leaderboard_pb.WatchLeaderboardRequest(board_id="main", top_n=1)
    assert messages.read_watch(request).after is None


@pytest.mark.parametrize("top_n", [0, -1, 101])
def test_a_top_out_of_range_is_rejected(top_n: int) -> None:
    request = leaderboard_pb.WatchLeaderboardRequest(board_id="main", top_n=top_n)
    assert faults_of(messages.read_watch, request) == {"top_n": "must be 1 to 100"}


@pytest.mark.parametrize("text", ["", "7", "7-", "-7-00112233aabbccdd", "7-XYZ", f"{2**63}-00112233aabbccdd"])
def test_what_is_no_position_is_rejected(text: str) -> None:
    request = leaderboard_pb.WatchLeaderboardRequest(board_id="main", top_n=1, after_position=text)
    assert faults_of(messages.read_watch, request) == {"after_position": "is no position"}


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
    written = messages.write_view(BoardView((ADA, BOB), POSITION, source), response)
    assert (written.revision, written.position, written.source) == (7, str(POSITION), said)
    assert [standing.user_id for standing in written.standings] == ["ada", "bob"]
    assert written.standings[0].rank == 1
    assert not written.standings[1].HasField("rank")


def test_a_page_has_the_token_of_the_next() -> None:
    view = BoardView((), POSITION, Source.CACHE, "next")
    response = leaderboard_pb.ListStandingsResponse
    assert messages.write_view(view, response, next_page_token="next").next_page_token == "next"


def test_a_standing_is_written_with_its_revision() -> None:
    written = messages.write_standing(BoardView((ADA,), POSITION, Source.CACHE))
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
    assert messages.write_view(view, leaderboard_pb.ListStandingsResponse).period == shown
    assert messages.write_standing(view).period == shown
    assert messages.write_watch_message(snapshot).snapshot.period == shown


def test_the_next_start_is_left_out_where_none_is_known() -> None:
    assert not write_period(replace(WEEK, next_starts_at=None)).HasField("next_starts_at")


def test_an_answer_of_all_time_shows_no_period() -> None:
    assert not messages.write_standing(BoardView((ADA,), POSITION, Source.CACHE)).HasField("period")
    snapshot = WatchMessage(Snapshot((), reset=False), POSITION, Source.CACHE)
    assert not messages.write_watch_message(snapshot).snapshot.HasField("period")


def test_a_snapshot_is_written_with_its_mark() -> None:
    written = messages.write_watch_message(WatchMessage(Snapshot((), reset=True), POSITION, Source.CACHE))
    assert written.WhichOneof("message") == "snapshot"
    assert written.snapshot.reset


@pytest.mark.parametrize(("top", "changed"), [(None, False), ((), True), ((ADA,), True)])
def test_an_update_distinguishes_an_unchanged_top_from_an_empty_one(
    top: tuple[Standing, ...] | None, *, changed: bool
) -> None:
    written = messages.write_watch_message(WatchMessage(Update(top, (BOB,)), POSITION, Source.CACHE))
    assert written.WhichOneof("message") == "update"
    assert written.update.top_changed is changed
    assert [standing.user_id for standing in written.update.scores] == ["bob"]


def test_a_checkpoint_carries_a_position_only() -> None:
    written = messages.write_watch_message(WatchMessage(Checkpoint(), POSITION, Source.RECORD))
    assert written.WhichOneof("message") == "checkpoint"
    assert (written.revision, written.position) == (7, str(POSITION))
