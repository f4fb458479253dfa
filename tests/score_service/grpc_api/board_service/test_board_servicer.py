"""`BoardService` over real mutual TLS and real stores."""

import asyncio
import hashlib
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode
from tests.fixtures.certificates import BACKEND_ID
from tests.fixtures.ledgers.periods import LedgerClock
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.score_service import Connect, ScoreService, Stubs, award_request, rejected

from local_stack.certificates import CertificateFiles
from score_api.v1 import board_service_pb2 as board_pb
from score_api.v1 import types_pb2 as types_pb
from score_service.record.periods import PeriodStore

_HOUR = timedelta(hours=1)


def _timestamp(instant: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(instant)
    return timestamp


def _season(name: str, starts_at: datetime, ends_at: datetime) -> board_pb.Season:
    return board_pb.Season(season_id=name, starts_at=_timestamp(starts_at), ends_at=_timestamp(ends_at))


async def _update(
    stubs: Stubs, *paths: str, validate_only: bool = False, board_id: str = "main", **settings: Any
) -> board_pb.UpdateBoardResponse:
    request = board_pb.UpdateBoardRequest(
        board=board_pb.Board(board_id=board_id, **settings),
        update_mask=FieldMask(paths=paths) if paths else None,
        validate_only=validate_only,
    )
    return await stubs.board.UpdateBoard(request)


async def _get(stubs: Stubs, board_id: str = "main") -> board_pb.Board:
    return (await stubs.board.GetBoard(board_pb.GetBoardRequest(board_id=board_id))).board


async def _award(stubs: Stubs, user_id: str = "ada", points: int = 10) -> None:
    await stubs.score.AwardPoints(award_request(user_id=user_id, points=points))


async def test_a_board_that_was_made_by_an_award_has_the_defaults(backend_stubs: Stubs) -> None:
    await _award(backend_stubs)
    board = await _get(backend_stubs)

    assert (board.board_id, board.time_zone, list(board.periods)) == ("main", "UTC", [])
    assert (board.grace.seconds, board.late, board.keep) == (600, board_pb.LATE_POLICY_CURRENT, 100)
    assert (board.settings_revision, board.revision) == (0, 1)
    assert board.position.startswith("1-")


async def test_a_board_that_there_is_not_is_not_found(backend_stubs: Stubs) -> None:
    rejection = await rejected(_get(backend_stubs))

    assert (rejection.code, rejection.reason) == (StatusCode.NOT_FOUND, "BOARD_NOT_FOUND")


async def test_an_update_makes_the_board_and_is_in_the_ledger(
    backend_stubs: Stubs, database: Database
) -> None:
    response = await _update(
        backend_stubs,
        time_zone="Europe/Berlin",
        periods=[types_pb.PERIOD_KIND_WEEK, types_pb.PERIOD_KIND_DAY],
        grace=Duration(seconds=0),
    )

    assert [(change.field, change.before, change.after) for change in response.changes] == [
        ("time_zone", "UTC", "Europe/Berlin"),
        ("periods", "none", "day, week"),
        ("grace", "600 s", "0 s"),
    ]
    assert response.board == await _get(backend_stubs)
    assert list(response.board.periods) == [types_pb.PERIOD_KIND_DAY, types_pb.PERIOD_KIND_WEEK]
    assert (response.board.settings_revision, response.board.revision) == (1, 1)
    with psycopg.connect(database.admin_dsn) as connection:
        entries = connection.execute("SELECT board_id, revision, kind, actor FROM score.entry").fetchall()
    assert entries == [("main", 1, "settings", BACKEND_ID)]


async def test_a_validation_says_what_would_be_and_changes_nothing(backend_stubs: Stubs) -> None:
    response = await _update(backend_stubs, keep=7, validate_only=True)

    assert [(change.field, change.after) for change in response.changes] == [("keep", "7")]
    assert (response.board.keep, response.board.settings_revision, response.board.revision) == (7, 0, 0)
    assert (await rejected(_get(backend_stubs))).reason == "BOARD_NOT_FOUND"


async def test_what_is_so_already_is_not_written(backend_stubs: Stubs) -> None:
    await _update(backend_stubs, keep=7)
    response = await _update(backend_stubs, keep=7)

    assert not response.changes
    assert response.board.revision == 1


async def test_without_a_mask_what_the_board_has_is_set_and_nothing_else(backend_stubs: Stubs) -> None:
    await _update(backend_stubs, keep=7, late=board_pb.LATE_POLICY_REFUSE)
    board = (await _update(backend_stubs, keep=8)).board

    assert (board.keep, board.late) == (8, board_pb.LATE_POLICY_REFUSE)


async def test_what_a_mask_names_and_the_board_does_not_have_is_the_default_again(
    backend_stubs: Stubs,
) -> None:
    await _update(
        backend_stubs,
        time_zone="Asia/Tokyo",
        periods=[types_pb.PERIOD_KIND_DAY],
        seasons=[_season("s", datetime(2099, 1, 1, tzinfo=UTC), datetime(2099, 2, 1, tzinfo=UTC))],
        grace=Duration(seconds=1),
        late=board_pb.LATE_POLICY_REFUSE,
        keep=7,
    )
    kept = (await _update(backend_stubs, "keep", time_zone="Asia/Seoul", keep=9)).board
    reset = await _update(backend_stubs, "time_zone", "periods", "seasons", "grace", "late", "keep")

    assert (kept.keep, kept.time_zone, len(kept.seasons)) == (9, "Asia/Tokyo", 1)
    assert len(reset.changes) == 6
    assert (reset.board.time_zone, list(reset.board.periods), list(reset.board.seasons)) == ("UTC", [], [])
    assert (reset.board.grace.seconds, reset.board.late, reset.board.keep) == (600, 1, 100)


_SPRING = datetime(2099, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("settings", "reason", "fields"),
    [
        ({"board_id": "a b"}, "INVALID_FIELD", {"board.board_id"}),
        ({"time_zone": "CET"}, "TIME_ZONE_UNKNOWN", {"board.time_zone"}),
        ({"time_zone": "Europe/Bonn", "keep": -1}, "INVALID_FIELD", {"board.time_zone", "board.keep"}),
        ({"periods": [types_pb.PERIOD_KIND_SEASON]}, "INVALID_FIELD", {"board.periods"}),
        ({"periods": [99]}, "INVALID_FIELD", {"board.periods"}),
        ({"periods": [1, 1]}, "INVALID_FIELD", {"board.periods"}),
        ({"grace": Duration(seconds=86_401)}, "INVALID_FIELD", {"board.grace"}),
        ({"grace": Duration(seconds=-1)}, "INVALID_FIELD", {"board.grace"}),
        ({"grace": Duration(seconds=1, nanos=1)}, "INVALID_FIELD", {"board.grace"}),
        ({"late": 99}, "INVALID_FIELD", {"board.late"}),
        ({"keep": 10_001}, "INVALID_FIELD", {"board.keep"}),
        (
            {"seasons": [board_pb.Season(season_id="s")]},
            "INVALID_FIELD",
            {"board.seasons[0].starts_at", "board.seasons[0].ends_at"},
        ),
        (
            {
                "seasons": [
                    board_pb.Season(season_id="s", starts_at=Timestamp(seconds=2**60), ends_at=Timestamp())
                ]
            },
            "INVALID_FIELD",
            {"board.seasons[0].starts_at"},
        ),
        ({"seasons": [_season("s", _SPRING, _SPRING)]}, "SEASONS_OVERLAP", {"board.seasons[0].ends_at"}),
        (
            {"seasons": [_season("a", _SPRING, _SPRING + 2 * _HOUR), _season("b", _SPRING, _SPRING + _HOUR)]},
            "SEASONS_OVERLAP",
            {"board.seasons[1].starts_at"},
        ),
        (
            {
                "seasons": [
                    board_pb.Season(
                        season_id="s",
                        starts_at=_timestamp(_SPRING),
                        ends_at=_timestamp(_SPRING + _HOUR),
                        review=Duration(seconds=31 * 86_400),
                    )
                ]
            },
            "INVALID_FIELD",
            {"board.seasons[0].review"},
        ),
    ],
)
async def test_a_fault_names_its_field_and_nothing_is_changed(
    backend_stubs: Stubs, settings: dict[str, Any], reason: str, fields: set[str]
) -> None:
    rejection = await rejected(_update(backend_stubs, **settings))

    assert (rejection.code, rejection.reason) == (StatusCode.INVALID_ARGUMENT, reason)
    assert rejection.fields.keys() == fields
    assert (await rejected(_get(backend_stubs))).reason == "BOARD_NOT_FOUND"


async def test_a_mask_names_settings_only(backend_stubs: Stubs) -> None:
    rejection = await rejected(_update(backend_stubs, "keep", "revision", keep=7))

    assert (rejection.reason, set(rejection.fields)) == ("INVALID_FIELD", {"update_mask"})


async def test_what_an_answer_has_may_be_sent_back(backend_stubs: Stubs) -> None:
    board = (await _update(backend_stubs, keep=7)).board
    response = await backend_stubs.board.UpdateBoard(board_pb.UpdateBoardRequest(board=board))

    assert (response.board, list(response.changes)) == (board, [])


async def test_a_setting_that_would_alter_an_open_period_says_from_when_it_can_hold(
    backend_stubs: Stubs,
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    await _update(backend_stubs, seasons=[_season("now", now - _HOUR, now + 24 * _HOUR)])
    await _award(backend_stubs)

    rejection = await rejected(_update(backend_stubs, "seasons"))

    assert (rejection.code, rejection.reason) == (StatusCode.FAILED_PRECONDITION, "PERIOD_OPEN")
    final_at = now + 24 * _HOUR + timedelta(minutes=10)
    assert final_at.isoformat().replace("+00:00", "Z") in rejection.fields["board.seasons"]
    assert len((await _get(backend_stubs)).seasons) == 1


async def test_boards_are_listed_page_by_page_and_only_those_the_caller_may_see(
    gateway_stubs: Stubs, backend_stubs: Stubs
) -> None:
    for board_id in ("main", "other", "season-1", "season-2"):
        await _update(gateway_stubs, board_id=board_id, keep=7)

    async def list_all(stubs: Stubs) -> list[list[str]]:
        pages, token = [], ""
        while True:
            page = await stubs.board.ListBoards(board_pb.ListBoardsRequest(page_size=2, page_token=token))
            pages.append([board.board_id for board in page.boards])
            if not (token := page.next_page_token):
                return pages

    assert await list_all(gateway_stubs) == [["main", "other"], ["season-1", "season-2"]]
    assert await list_all(backend_stubs) == [["main", "season-1"], ["season-2"]]


async def test_a_board_of_others_is_denied(backend_stubs: Stubs) -> None:
    calls: list[Awaitable[object]] = [
        _get(backend_stubs, "other"),
        _update(backend_stubs, board_id="other", keep=1),
        backend_stubs.board.GetPeriod(board_pb.GetPeriodRequest(board_id="other", period="day")),
        backend_stubs.board.ListPeriods(board_pb.ListPeriodsRequest(board_id="other")),
    ]
    for call in calls:
        assert (await rejected(call)).code is StatusCode.PERMISSION_DENIED


async def test_nobody_may_call_what_the_policy_does_not_name(
    score_service: ScoreService, connect: Connect, metered_certificate: CertificateFiles
) -> None:
    stubs = connect(score_service, metered_certificate)

    assert (await rejected(_get(stubs))).code is StatusCode.PERMISSION_DENIED
    assert (await rejected(_update(stubs, keep=1))).code is StatusCode.PERMISSION_DENIED


async def _get_period(stubs: Stubs, period: str, winners: int = 3) -> board_pb.PeriodResult:
    request = board_pb.GetPeriodRequest(board_id="main", period=period, winners=winners)
    return (await stubs.board.GetPeriod(request)).result


async def test_a_period_that_is_open_shows_who_leads(backend_stubs: Stubs) -> None:
    await _update(backend_stubs, time_zone="Asia/Kathmandu", periods=[types_pb.PERIOD_KIND_MONTH])
    for user_id, points in (("ada", 10), ("bob", 30), ("cy", 20)):
        await _award(backend_stubs, user_id, points)
    result = await _get_period(backend_stubs, "month", winners=2)

    assert result.period.kind == types_pb.PERIOD_KIND_MONTH
    assert (result.period.state, result.period.entrants) == (types_pb.PERIOD_STATE_OPEN, 3)
    assert [(standing.user_id, standing.rank) for standing in result.winners] == [("bob", 1), ("cy", 2)]
    assert (result.time_zone, result.digest, result.entry_revision) == ("Asia/Kathmandu", b"", 0)
    assert result.zone_data_version
    assert not (await _get_period(backend_stubs, result.period.id, winners=0)).winners


@pytest.fixture
async def final_seasons(
    score_service: ScoreService, backend_stubs: Stubs, ledger_clock: LedgerClock
) -> list[str]:
    """Make a board with two seasons that are final and one that is open; their ids, the newest first."""
    now = datetime.now(UTC).replace(microsecond=0)
    starts = [now - 3 * _HOUR, now - 2 * _HOUR, now - _HOUR]
    seasons = [_season(f"s{n}", start, start + _HOUR) for n, start in enumerate(starts)]
    seasons[2].ends_at.FromDatetime(now + _HOUR)
    ledger_clock.set(starts[0])
    await _update(backend_stubs, seasons=seasons, grace=Duration())
    for n, start in enumerate(starts):
        ledger_clock.set(start + timedelta(minutes=1))
        await _award(backend_stubs, "ada", 10 + n)
        await _award(backend_stubs, "bob", (20, 5, 1)[n])
    ledger_clock.set(now)
    periods = PeriodStore(score_service.running.parts.database)

    async def are_final() -> bool:
        return all(stored.period.period_id == "season:s2" for stored in await periods.list_live("main"))

    await eventually(are_final)
    return ["season:s2", "season:s1", "season:s0"]


async def test_a_final_period_has_its_result(final_seasons: list[str], backend_stubs: Stubs) -> None:
    result = await _get_period(backend_stubs, final_seasons[1], winners=1)

    assert (result.period.state, result.period.entrants) == (types_pb.PERIOD_STATE_FINAL, 2)
    assert [(standing.user_id, standing.total) for standing in result.winners] == [("ada", 11)]
    assert result.digest == hashlib.sha256(b"1\tada\t11\t4\n2\tbob\t5\t5\n").digest()
    assert result.final_revision < result.entry_revision
    assert not result.truncated
    assert await _get_period(backend_stubs, "season:previous", winners=1) == result


async def test_periods_are_listed_with_their_winners_the_last_first(
    final_seasons: list[str], backend_stubs: Stubs
) -> None:
    found, token = list[board_pb.PeriodResult](), ""
    while True:
        request = board_pb.ListPeriodsRequest(
            board_id="main", kind=types_pb.PERIOD_KIND_SEASON, winners=1, page_size=2, page_token=token
        )
        page = await backend_stubs.board.ListPeriods(request)
        found += page.results
        if not (token := page.next_page_token):
            break

    assert [result.period.id for result in found] == final_seasons
    assert [result.period.state for result in found] == [
        types_pb.PERIOD_STATE_OPEN,
        types_pb.PERIOD_STATE_FINAL,
        types_pb.PERIOD_STATE_FINAL,
    ]
    assert [result.winners[0].user_id for result in found] == ["ada", "ada", "bob"]
    assert found[1] == await _get_period(backend_stubs, "season:s1", winners=1)
    others = await backend_stubs.board.ListPeriods(
        board_pb.ListPeriodsRequest(board_id="main", kind=types_pb.PERIOD_KIND_DAY)
    )
    assert not others.results


async def test_periods_of_a_board_that_there_is_not_are_not_found(backend_stubs: Stubs) -> None:
    rejections = await asyncio.gather(
        rejected(backend_stubs.board.ListPeriods(board_pb.ListPeriodsRequest(board_id="main"))),
        rejected(_get_period(backend_stubs, "day")),
    )

    assert {rejection.code for rejection in rejections} == {StatusCode.NOT_FOUND}


@pytest.mark.parametrize("period", ["week", "week:2020-W01", "day:previous", "day:2999-01-01"])
async def test_a_period_that_the_board_does_not_have_is_unknown(backend_stubs: Stubs, period: str) -> None:
    await _update(backend_stubs, periods=[types_pb.PERIOD_KIND_DAY])

    assert (await rejected(_get_period(backend_stubs, period))).reason == "PERIOD_UNKNOWN"


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (board_pb.GetPeriodRequest(board_id="main", period="day", winners=101), "winners"),
        (board_pb.GetPeriodRequest(board_id="main", period="day", winners=-1), "winners"),
        (board_pb.GetPeriodRequest(board_id="main"), "period"),
        (board_pb.GetPeriodRequest(board_id="main", period="all_time"), "period"),
        (board_pb.GetPeriodRequest(board_id="main", period="hour"), "period"),
        (board_pb.ListPeriodsRequest(board_id="main", kind=99), "kind"),  # type: ignore[arg-type]
        (board_pb.ListPeriodsRequest(board_id="main", winners=101), "winners"),
        (board_pb.ListPeriodsRequest(board_id="main", page_size=-1), "page_size"),
        (board_pb.ListPeriodsRequest(board_id="main", page_token="x"), "page_token"),
        (board_pb.ListBoardsRequest(page_size=-1), "page_size"),
        (board_pb.ListBoardsRequest(page_token="\U0001f600"), "page_token"),
        (board_pb.GetBoardRequest(board_id=""), "board_id"),
    ],
)
async def test_a_request_that_is_not_as_described_is_rejected(
    backend_stubs: Stubs, request_: Any, field: str
) -> None:
    method = getattr(backend_stubs.board, type(request_).__name__.removesuffix("Request"))
    rejection = await rejected(method(request_))

    assert (rejection.reason, set(rejection.fields)) == ("INVALID_FIELD", {field})
