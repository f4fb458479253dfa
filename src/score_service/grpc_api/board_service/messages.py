"""Messages of `BoardService` to values of the service and back. Pure."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration

from score_api.v1 import board_service_pb2 as board_pb
from score_api.v1 import types_pb2 as types_pb
from score_service.boards.board_editor import SettingsPlan
from score_service.boards.standings.period_results import PeriodResult
from score_service.domain.board.board_settings import BoardSettings, LatePolicy, Season
from score_service.domain.board.period import PeriodChoice, PeriodKind
from score_service.domain.ledger.position import Position
from score_service.domain.tokens.page_token import read_board_token, read_period_token
from score_service.errors import (
    FaultyFieldsError,
    InvalidRequestError,
    PeriodOpenError,
    SeasonsOverlapError,
    TimeZoneUnknownError,
)
from score_service.grpc_api.fields import FieldReader
from score_service.grpc_api.messages import (
    PERIOD_KINDS,
    add_standings,
    write_instant,
    write_period,
    write_reversal,
)
from score_service.periods.settings_change import SettingsPatch
from score_service.periods.settings_rules import EARLIEST, FaultKind, SettingsFault
from score_service.record.boards import StoredBoard

WINNERS_MAX: Final = 100
_STANDINGS_MAX: Final = 10_000
"""Of all winners in one answer, which has to fit into a message."""
_FAULTS_MAX: Final = 16
_SETTINGS: Final = {
    "time_zone": "time_zone",
    "periods": "periods",
    "seasons": "seasons",
    "grace": "grace_seconds",
    "late": "late",
    "keep": "keep",
}
"""The settings by their names on the wire."""
_WIRE_NAMES: Final = {"grace_seconds": "grace", "review_seconds": "review"}
_KINDS: Final[Mapping[int, PeriodKind]] = {number: kind for kind, number in PERIOD_KINDS.items()}
_LATE: Final = {
    LatePolicy.CURRENT: board_pb.LATE_POLICY_CURRENT,
    LatePolicy.ALL_TIME: board_pb.LATE_POLICY_ALL_TIME,
    LatePolicy.REFUSE: board_pb.LATE_POLICY_REFUSE,
}
_LATE_POLICIES: Final[Mapping[int, LatePolicy]] = {number: policy for policy, number in _LATE.items()}
_ERRORS: Final[Mapping[FaultKind, Callable[[Mapping[str, str]], FaultyFieldsError]]] = {
    FaultKind.INVALID: InvalidRequestError,
    FaultKind.TIME_ZONE_UNKNOWN: TimeZoneUnknownError,
    FaultKind.SEASONS_OVERLAP: SeasonsOverlapError,
    FaultKind.PERIOD_OPEN: PeriodOpenError,
}


def read_board_name(request: board_pb.GetBoardRequest) -> str:
    """Read which board is asked for."""
    fields = FieldReader()
    board_id = fields.identifier("board_id", request.board_id)
    fields.finish()
    return board_id


def read_boards_page(request: board_pb.ListBoardsRequest) -> tuple[int, str]:
    """Read the size of a page of boards, and the board that it follows."""
    fields = FieldReader()
    size = fields.page_size("page_size", request.page_size)
    fields.finish()
    return size, read_board_token(request.page_token)


def read_change(request: board_pb.UpdateBoardRequest) -> tuple[str, SettingsPatch]:
    """Read which settings a board is to have.

    What the mask names and the board does not have is set to its default (AIP-134); without a mask, what
    the board has is set.
    """
    fields, board = FieldReader(), request.board
    board_id = fields.identifier("board.board_id", board.board_id)
    paths = set(request.update_mask.paths)
    fields.require(paths <= _SETTINGS.keys(), "update_mask", f"must name any of {', '.join(_SETTINGS)}")
    if not paths:
        paths = {descriptor.name for descriptor, _ in board.ListFields()}
    default = BoardSettings()
    read: dict[str, Callable[[], Any]] = {
        "time_zone": lambda: board.time_zone or default.time_zone,
        "periods": lambda: tuple(_read_kind(kind) for kind in board.periods),
        "seasons": lambda: tuple(_read_season(fields, n, season) for n, season in enumerate(board.seasons)),
        "grace": lambda: _read_grace(fields, board),
        "late": lambda: _read_late(fields, board.late),
        "keep": lambda: board.keep or default.keep,
    }
    given = {_SETTINGS[name]: read[name]() for name in _SETTINGS if name in paths}
    fields.finish()
    return board_id, SettingsPatch(**given)


def read_period_query(request: board_pb.GetPeriodRequest) -> tuple[str, PeriodChoice, int]:
    """Read board, period and the number of winners."""
    fields = FieldReader()
    board_id = fields.identifier("board_id", request.board_id)
    choice = fields.period_choice("period", request.period)
    fields.require(
        choice is not None or request.period not in ("", "all_time"), "period", "must be one period"
    )
    winners = fields.number("winners", request.winners, 0, WINNERS_MAX)
    fields.finish()
    if choice is None:
        raise TypeError("a choice of no period is a fault")
    return board_id, choice, winners


def read_periods_page(
    request: board_pb.ListPeriodsRequest,
) -> tuple[str, PeriodKind | None, int, int, tuple[datetime, int] | None]:
    """Read board, kind, number of winners, page size, and the period that the page follows."""
    fields = FieldReader()
    board_id = fields.identifier("board_id", request.board_id)
    is_kind = request.kind in (types_pb.PERIOD_KIND_UNSPECIFIED, *_KINDS)
    fields.require(is_kind, "kind", "is not known")
    winners = fields.number("winners", request.winners, 0, WINNERS_MAX)
    size = fields.page_size("page_size", request.page_size)
    fields.finish()
    fitting = min(size, _STANDINGS_MAX // max(winners, 1))
    return board_id, _KINDS.get(request.kind), winners, fitting, read_period_token(request.page_token)


def raise_faults(faults: Sequence[SettingsFault]) -> None:
    """Raise the error that says what is wrong with settings, if anything is."""
    if not faults:
        return
    kinds = {fault.kind for fault in faults}
    kind = kinds.pop() if len(kinds) == 1 else FaultKind.INVALID
    raise _ERRORS[kind]({_name_field(fault.field): fault.rule for fault in faults[:_FAULTS_MAX]})


def write_board(board: StoredBoard) -> board_pb.Board:
    """Write a board as it is."""
    return write_settings(board.board_id, board.settings, board.settings_revision, board.position)


def write_planned(board_id: str, plan: SettingsPlan) -> board_pb.Board:
    """Write a board as it would be, at the position where it is."""
    board = plan.board
    if board is None:
        return write_settings(board_id, plan.after, 0, Position.start(board_id))
    return write_settings(board_id, plan.after, board.settings_revision, board.position)


def write_changes(plan: SettingsPlan) -> list[board_pb.BoardChange]:
    """Write what a change alters."""
    return [
        board_pb.BoardChange(
            field=_WIRE_NAMES.get(change.field, change.field),
            before=change.before,
            after=change.after,
            effective_at=write_instant(change.effective_at) if change.effective_at is not None else None,
        )
        for change in plan.changes
    ]


def write_result(result: PeriodResult) -> board_pb.PeriodResult:
    """Write a period with its result."""
    period, final = result.view.period, result.final
    written = board_pb.PeriodResult(
        period=write_period(result.view),
        time_zone=period.time_zone,
        zone_data_version=period.zone_data,
    )
    add_standings(written.winners.add, result.winners)
    if final is not None:
        written.digest = final.digest or b""
        written.final_revision = final.closed_revision or 0
        written.entry_revision = final.entry_revision or 0
        written.truncated = final.is_truncated
    written.reversed_after = result.reversed_after
    written.reversals_after.extend(map(write_reversal, result.reversals_after))
    return written


def _read_kind(number: int) -> str:
    kind = _KINDS.get(number)
    return kind.value if kind is not None else ""


def _read_grace(fields: FieldReader, board: board_pb.Board) -> int:
    if not board.HasField("grace"):
        return BoardSettings().grace_seconds
    return _read_seconds(fields, "board.grace", board.grace)


def _read_season(fields: FieldReader, index: int, season: board_pb.Season) -> Season:
    place = f"board.seasons[{index}]"
    for name in ("starts_at", "ends_at"):
        fields.require(season.HasField(name), f"{place}.{name}", "is missing")
    # A fault leaves another time in the place of one that cannot be read, and nobody sees it.
    return Season(
        season.season_id,
        fields.instant(f"{place}.starts_at", season.starts_at) or EARLIEST,
        fields.instant(f"{place}.ends_at", season.ends_at) or EARLIEST,
        _read_seconds(fields, f"{place}.review", season.review),
    )


def _read_seconds(fields: FieldReader, field: str, duration: Duration) -> int:
    fields.require(duration.nanos == 0, field, "must be whole seconds")
    return duration.seconds


def _read_late(fields: FieldReader, number: int) -> LatePolicy:
    if number == board_pb.LATE_POLICY_UNSPECIFIED:
        return BoardSettings().late
    fields.require(number in _LATE_POLICIES, "board.late", "is not known")
    return _LATE_POLICIES.get(number, LatePolicy.CURRENT)


def _name_field(field: str) -> str:
    place, dot, name = field.rpartition(".")
    return f"board.{place}{dot}{_WIRE_NAMES.get(name, name)}"


def write_settings(
    board_id: str, settings: BoardSettings, settings_revision: int, position: Position
) -> board_pb.Board:
    """Write the settings of a board, and where its ledger stands."""
    return board_pb.Board(
        board_id=board_id,
        time_zone=settings.time_zone,
        periods=[PERIOD_KINDS[PeriodKind(name)] for name in settings.periods],
        seasons=map(_write_season, settings.seasons),
        grace=Duration(seconds=settings.grace_seconds),
        late=_LATE[settings.late],
        keep=settings.keep,
        settings_revision=settings_revision,
        revision=position.revision,
        position=str(position),
    )


def _write_season(season: Season) -> board_pb.Season:
    return board_pb.Season(
        season_id=season.season_id,
        starts_at=write_instant(season.starts_at),
        ends_at=write_instant(season.ends_at),
        review=Duration(seconds=season.review_seconds),
    )
