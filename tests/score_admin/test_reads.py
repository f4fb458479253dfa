"""What only reads."""

import json
from datetime import UTC, datetime

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode
from tests.score_admin.conftest import Run

from conformance.server.scripted import ScriptedServer, answer, play, reject
from score_api.v1 import board_service_pb2 as boards
from score_api.v1 import leaderboard_service_pb2 as leaderboards
from score_api.v1 import ledger_service_pb2 as ledger
from score_api.v1 import types_pb2

AWARD_ID = "6d1f9c5e-6f3b-4d52-9a43-0d2c1f8f2f11"
NOON = Timestamp(seconds=int(datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()))
REVERSAL = types_pb2.Reversal(
    reversal_id="0b8b2f0a-9d6e-4c39-8d0e-4a8b5f5c7a01",
    award_id=AWARD_ID,
    user_id="ada",
    points=10,
    revision=9,
    reason="leaked\x1b[2J",
    actor="spiffe://test.local/operator",
    on_behalf_of="mo",
    recorded_at=NOON,
)
AWARD = ledger.RecordedAward(
    award_id=AWARD_ID,
    revision=3,
    user_id="ada",
    points=10,
    total=1230,
    action_type="puzzle",
    action_id="p1",
    caller="spiffe://test.local/backend",
    recorded_at=NOON,
    reversal=REVERSAL,
)
WEEK = types_pb2.Period(
    id="week:2026-W49",
    kind=types_pb2.PERIOD_KIND_WEEK,
    starts_at=NOON,
    ends_at=NOON,
    closes_at=NOON,
    state=types_pb2.PERIOD_STATE_FINAL,
    entrants=2,
)
BOARD = boards.Board(
    board_id="main",
    time_zone="Europe/Berlin",
    periods=[types_pb2.PERIOD_KIND_DAY],
    grace=Duration(seconds=600),
    late=boards.LATE_POLICY_CURRENT,
    keep=100,
    revision=7,
    position="7-00ff",
)


async def test_a_standing_is_a_table(server: ScriptedServer, run: Run) -> None:
    standing = types_pb2.Standing(user_id="ada", total=1230, reached_revision=7, hidden=True)
    server.script("GetStanding", answer(leaderboards.GetStandingResponse(standing=standing)))

    ended = await run("standing", "main", "ada", "--period=week")

    assert ended.stdout.split() == [
        "rank",
        "user",
        "total",
        "reached",
        "hidden",
        "-",
        "ada",
        "1,230",
        "7",
        "yes",
    ]
    assert server.received[0].request.period == "week"


async def test_neighbours_are_shown_on_request(server: ScriptedServer, run: Run) -> None:
    standings = [
        types_pb2.Standing(user_id=user, total=9, rank=rank) for rank, user in ((1, "ada"), (2, "ben"))
    ]
    server.script(
        "ListStandingsAround", answer(leaderboards.ListStandingsAroundResponse(standings=standings))
    )

    ended = await run("--json", "standing", "main", "ada", "--around=1")

    assert [json.loads(line)["user_id"] for line in ended.stdout.splitlines()] == ["ada", "ben"]


async def test_history_says_what_was_taken_back_by_whom_and_why(server: ScriptedServer, run: Run) -> None:
    server.script("ListAwards", answer(ledger.ListAwardsResponse(awards=[AWARD])))

    ended = await run("history", "main", "ada")

    assert "2026-11-30 12:00:00" in ended.stdout
    assert "9 by mo (spiffe://test.local/operator): leaked" in ended.stdout
    assert "\x1b" not in ended.stdout


async def test_history_is_read_in_pages_up_to_the_limit(server: ScriptedServer, run: Run) -> None:
    first = ledger.ListAwardsResponse(awards=[AWARD] * 2, next_page_token="more")
    server.script("ListAwards", answer(first), answer(ledger.ListAwardsResponse(awards=[AWARD])))

    ended = await run("--json", "history", "main", "--limit=3")

    assert len(ended.stdout.splitlines()) == 3
    assert [(call.request.page_size, call.request.page_token) for call in server.received] == [
        (3, ""),
        (1, "more"),
    ]
    award = json.loads(ended.stdout.splitlines()[0])
    assert (award["recorded_at"], award["reversal"]["on_behalf_of"]) == ("2026-11-30T12:00:00+00:00", "mo")


async def test_history_says_up_to_where_older_awards_are_archived(server: ScriptedServer, run: Run) -> None:
    first = ledger.ListAwardsResponse(awards=[AWARD], next_page_token="more", archived_revision=1200)
    last = ledger.ListAwardsResponse(awards=[AWARD], archived_revision=1200)
    server.script("ListAwards", answer(first), answer(last), answer(first))

    whole = await run("--json", "history", "main", "--limit=5")
    part = await run("history", "main", "--limit=1")

    assert len(whole.stdout.splitlines()) == 2
    assert whole.stderr == "Older awards are archived, up to revision 1,200.\n"
    assert part.stderr == ""


async def test_entries_that_are_archived_are_said_to_be_and_from_where_there_are_others(
    server: ScriptedServer, run: Run
) -> None:
    rejection = reject(StatusCode.OUT_OF_RANGE, "HISTORY_ARCHIVED", metadata={"archived_position": "7-00"})
    server.script("StreamEntries", play(then=rejection))

    ended = await run("entries", "main", "--follow")

    assert ended.exit_code == 1
    assert ended.stderr == "HISTORY_ARCHIVED: As scripted. The ledger can be read after 7-00.\n"


async def test_boards_are_listed_to_their_end(server: ScriptedServer, run: Run) -> None:
    first = boards.ListBoardsResponse(boards=[BOARD], next_page_token="more")
    server.script("ListBoards", answer(first), answer(boards.ListBoardsResponse(boards=[BOARD])))

    ended = await run("boards")

    assert ended.stdout.count("main") == 2
    assert "Europe/Berlin" in ended.stdout


async def test_a_board_shows_its_settings(server: ScriptedServer, run: Run) -> None:
    server.script("GetBoard", answer(boards.GetBoardResponse(board=BOARD)))

    people, programs = await run("boards", "main"), await run("--json", "boards", "main")

    assert "position   7-00ff" in people.stdout
    assert json.loads(programs.stdout)["grace"] == 600.0


async def test_periods_are_listed_with_the_best(server: ScriptedServer, run: Run) -> None:
    winners = [types_pb2.Standing(user_id="ada", total=30, rank=1)]
    result = boards.PeriodResult(period=WEEK, winners=winners)
    server.script("ListPeriods", answer(boards.ListPeriodsResponse(results=[result])))

    ended = await run("periods", "main", "--kind=week")

    assert "week:2026-W49" in ended.stdout
    assert "ada 30" in ended.stdout
    assert server.received[0].request.kind == types_pb2.PERIOD_KIND_WEEK


async def test_a_period_lists_what_was_taken_back_after_it(server: ScriptedServer, run: Run) -> None:
    result = boards.PeriodResult(
        period=WEEK, digest=b"\x01\x02", reversed_after=1, reversals_after=[REVERSAL]
    )
    server.script("GetPeriod", answer(boards.GetPeriodResponse(result=result)))

    ended = await run("periods", "main", "week:2026-W49")

    assert "digest          0102" in ended.stdout
    assert "reversed after  1" in ended.stdout
    assert "leaked" in ended.stdout


async def test_entries_name_each_field_of_settings_and_of_closed_periods(
    server: ScriptedServer, run: Run
) -> None:
    settings = boards.Board(seasons=[boards.Season(season_id=season) for season in ("1", "2")])
    settings.MergeFrom(BOARD)
    server.script("GetBoard", answer(boards.GetBoardResponse(board=BOARD)))
    server.script(
        "StreamEntries",
        play(
            ledger.StreamEntriesResponse(
                revision=6,
                position="6-00ff",
                settings=ledger.SettingsChange(board=settings, actor="boards apply", recorded_at=NOON),
            ),
            ledger.StreamEntriesResponse(
                revision=7,
                position="7-00ff",
                period_closed=ledger.PeriodClosed(
                    period=WEEK, digest=b"\x01\x02", final_revision=6, recorded_at=NOON
                ),
            ),
        ),
    )

    ended = await run("entries", "main")

    changed, closed = ended.stdout.splitlines()
    assert changed.startswith("6-00ff  settings  board_id=main time_zone=Europe/Berlin periods=day ")
    assert " seasons=1, 2 grace=0:10:00 late=current keep=100 " in changed
    assert changed.endswith(" actor=boards apply recorded_at=2026-11-30 12:00:00")
    assert closed.startswith("7-00ff  period_closed  period_id=week:2026-W49 kind=week ")
    assert closed.endswith(" digest=0102 final_revision=6 recorded_at=2026-11-30 12:00:00")
