"""Messages of the contract to values of the service and back. Pure.

A request is read whole: every fault in it is found before it is rejected. Descriptions of faults never
repeat what was sent.
"""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from score_api.v1 import leaderboard_service_pb2 as leaderboard_pb
from score_api.v1 import score_service_pb2 as score_pb
from score_api.v1 import types_pb2 as types_pb
from score_service.domain import watch
from score_service.domain.award import MAX_BATCH, MAX_POINTS, Award, AwardOutcome
from score_service.domain.identifier import is_identifier, is_trace_id, parse_uuid
from score_service.domain.period import (
    ALL_TIME,
    PeriodChoice,
    PeriodKind,
    PeriodState,
    PeriodView,
    parse_period_choice,
)
from score_service.domain.position import Position
from score_service.domain.reversal import Reversal
from score_service.domain.standing import BoardView, Source, Standing
from score_service.errors import InvalidRequestError

MAX_PAGE: Final = 1000
MAX_RADIUS: Final = 100
MAX_USERS: Final = 1000
_DEFAULT_PAGE: Final = 50
_TRACE_RULE: Final = "must be 32 lower-case hexadecimal digits, not all zero"
_MAX_FAULTS: Final = 16
"""More would not fit into the trailing metadata that carries them."""
_BOARDS_MAX: Final = 16
"""Boards in one batch."""
_ID_RULE: Final = "must be 1 to 128 characters of [A-Za-z0-9._:@-]"
_UUID_RULE: Final = "must be a UUID"
_REASON_MAX: Final = 500
_REASON_RULE: Final = (
    f"must be 1 to {_REASON_MAX} characters without control characters, line breaks and controls of direction"
)
_LINE_BREAKERS: Final = frozenset({"Cc", "Zl", "Zp"})
"""Categories of Unicode: control characters, line and paragraph separators."""
_DIRECTIONS: Final = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
"""Classes of UAX #9 that make what follows on the line look as if it stood elsewhere. Text from right to left
needs none of them."""
_PERIOD_RULE: Final = (
    "must be all_time; day, week, month or season, alone or with :previous; or the id of a period"
)
_SECONDS_FIRST: Final = -62_135_596_800
_SECONDS_LAST: Final = 253_402_300_799
"""What a Timestamp may hold: from 0001-01-01 to 9999-12-31, both included."""
_NANOS_LAST: Final = 999_999_999
PERIOD_KINDS: Final = {
    PeriodKind.DAY: types_pb.PERIOD_KIND_DAY,
    PeriodKind.WEEK: types_pb.PERIOD_KIND_WEEK,
    PeriodKind.MONTH: types_pb.PERIOD_KIND_MONTH,
    PeriodKind.SEASON: types_pb.PERIOD_KIND_SEASON,
}
_PERIOD_STATES: Final = {
    PeriodState.OPEN: types_pb.PERIOD_STATE_OPEN,
    PeriodState.CLOSING: types_pb.PERIOD_STATE_CLOSING,
    PeriodState.REVIEW: types_pb.PERIOD_STATE_REVIEW,
    PeriodState.FINAL: types_pb.PERIOD_STATE_FINAL,
}
_SOURCES: Final = {
    Source.CACHE: types_pb.SOURCE_CACHE,
    Source.RECORD: types_pb.SOURCE_RECORD,
}

_Response = TypeVar(
    "_Response",
    leaderboard_pb.BatchGetStandingsResponse,
    leaderboard_pb.ListStandingsResponse,
    leaderboard_pb.ListStandingsAroundResponse,
)


class FieldReader:
    """Reads fields one by one and keeps what is wrong with each, to be raised at the end."""

    def __init__(self) -> None:
        self._faults: dict[str, str] = {}

    def identifier(self, field: str, text: str) -> str:
        """Read a board, user or action id."""
        self.require(is_identifier(text), field, _ID_RULE)
        return text

    def optional_identifier(self, field: str, text: str) -> str:
        """Read an id that may be left out."""
        return self.identifier(field, text) if text else ""

    def reason(self, field: str, text: str) -> str:
        """Read why something is done: a line of text, in Unicode's form NFC and without blanks around it."""
        reason = unicodedata.normalize("NFC", text).strip()
        self.require(1 <= len(reason) <= _REASON_MAX and _is_line(reason), field, _REASON_RULE)
        return reason

    def identifiers(self, field: str, texts: Sequence[str], least: int, most: int) -> list[str]:
        """Read a list of ids; each is kept once, in the order given."""
        self.require(least <= len(texts) <= most, field, f"must have {least} to {most} entries")
        for index, text in enumerate(texts[:most]):
            self.require(is_identifier(text), f"{field}[{index}]", _ID_RULE)
        return list(dict.fromkeys(texts))

    def uuid(self, field: str, text: str) -> str:
        """Read a UUID; it is in lower case then."""
        value = parse_uuid(text)
        self.require(value is not None, field, _UUID_RULE)
        return value or ""

    def trace_id(self, field: str, text: str) -> str:
        """Read a W3C trace id, or nothing."""
        self.require(not text or is_trace_id(text), field, _TRACE_RULE)
        return text

    def number(self, field: str, value: int, least: int, most: int) -> int:
        """Read a number within bounds."""
        self.require(least <= value <= most, field, f"must be {least} to {most}")
        return value

    def at_least_zero(self, field: str, value: int) -> int:
        """Read a number that has no upper bound."""
        self.require(value >= 0, field, "must not be negative")
        return value

    def page_size(self, field: str, value: int) -> int:
        """Read how long a page may be (AIP-158)."""
        return min(self.at_least_zero(field, value), MAX_PAGE) or _DEFAULT_PAGE

    def position(self, field: str, text: str) -> Position | None:
        """Read a position that was given out before."""
        position = Position.parse(text)
        self.require(position is not None, field, "is no position")
        return position

    def instant(self, field: str, timestamp: Timestamp) -> datetime | None:
        """Read a time, to the microsecond."""
        seconds, nanos = timestamp.seconds, timestamp.nanos
        is_time = _SECONDS_FIRST <= seconds <= _SECONDS_LAST and 0 <= nanos <= _NANOS_LAST
        self.require(is_time, field, "is no time")
        return timestamp.ToDatetime(UTC) if is_time else None

    def period_choice(self, field: str, text: str) -> PeriodChoice | None:
        """Read which period is asked for; None for all time."""
        if text in ("", ALL_TIME):
            return None
        choice = parse_period_choice(text)
        self.require(choice is not None, field, _PERIOD_RULE)
        return choice

    def require(self, holds: bool, field: str, rule: str) -> None:  # noqa: FBT001  # What must hold.
        """Keep a fault unless it holds."""
        if not holds and len(self._faults) < _MAX_FAULTS:
            self._faults[field] = rule

    def finish(self) -> None:
        """Raise InvalidRequestError if anything was wrong."""
        if self._faults:
            raise InvalidRequestError(self._faults)


def read_award(
    request: score_pb.AwardPointsRequest, caller: str, trace_id: str, new_request_id: Callable[[], str]
) -> Award:
    """Read an award; a request without an id of its own gets the new one."""
    fields, asked = FieldReader(), request.award
    award = Award(
        board_id=fields.identifier("award.board_id", asked.board_id),
        award_id=fields.uuid("award.award_id", asked.award_id),
        user_id=fields.identifier("award.user_id", asked.user_id),
        points=fields.number("award.points", asked.points, 1, MAX_POINTS),
        action_type=fields.identifier("award.action_type", asked.action_type),
        action_id=fields.identifier("award.action_id", asked.action_id),
        request_id=fields.uuid("request_id", request.request_id) if request.request_id else new_request_id(),
        caller=caller,
        trace_id=fields.trace_id("trace_id", request.trace_id) or trace_id,
        occurred_at=fields.instant("award.occurred_at", asked.occurred_at)
        if asked.HasField("occurred_at")
        else None,
    )
    fields.finish()
    return award


def read_batch(request: score_pb.BatchAwardPointsRequest) -> Sequence[score_pb.AwardPointsRequest]:
    """Read the requests of a batch, each of which stands for itself."""
    fields, requests = FieldReader(), request.requests
    fields.require(1 <= len(requests) <= MAX_BATCH, "requests", f"must have 1 to {MAX_BATCH} entries")
    boards = {asked.award.board_id for asked in requests}
    fields.require(len(boards) <= _BOARDS_MAX, "requests", f"must be on at most {_BOARDS_MAX} boards")
    fields.finish()
    return requests


def read_award_name(request: score_pb.GetAwardRequest) -> tuple[str, str]:
    """Read the board and the id of an award."""
    fields = FieldReader()
    board_id = fields.identifier("board_id", request.board_id)
    award_id = fields.uuid("award_id", request.award_id)
    fields.finish()
    return board_id, award_id


def read_standing_query(
    request: leaderboard_pb.GetStandingRequest,
) -> tuple[str, str, int, PeriodChoice | None]:
    """Read board, user, least revision and period."""
    fields = FieldReader()
    query = (
        fields.identifier("board_id", request.board_id),
        fields.identifier("user_id", request.user_id),
        fields.at_least_zero("min_revision", request.min_revision),
        fields.period_choice("period", request.period),
    )
    fields.finish()
    return query


def read_standings_query(
    request: leaderboard_pb.BatchGetStandingsRequest,
) -> tuple[str, list[str], int, PeriodChoice | None]:
    """Read board, users, least revision and period."""
    fields = FieldReader()
    query = (
        fields.identifier("board_id", request.board_id),
        fields.identifiers("user_ids", request.user_ids, 1, MAX_USERS),
        fields.at_least_zero("min_revision", request.min_revision),
        fields.period_choice("period", request.period),
    )
    fields.finish()
    return query


def read_page_query(
    request: leaderboard_pb.ListStandingsRequest,
) -> tuple[str, int, str, int, PeriodChoice | None]:
    """Read board, page size, page token, least revision and period."""
    fields = FieldReader()
    query = (
        fields.identifier("board_id", request.board_id),
        fields.page_size("page_size", request.page_size),
        request.page_token,
        fields.at_least_zero("min_revision", request.min_revision),
        fields.period_choice("period", request.period),
    )
    fields.finish()
    return query


def read_neighbours_query(
    request: leaderboard_pb.ListStandingsAroundRequest,
) -> tuple[str, str, int, int, PeriodChoice | None]:
    """Read board, user, radius, least revision and period."""
    fields = FieldReader()
    query = (
        fields.identifier("board_id", request.board_id),
        fields.identifier("user_id", request.user_id),
        fields.number("radius", request.radius, 0, MAX_RADIUS),
        fields.at_least_zero("min_revision", request.min_revision),
        fields.period_choice("period", request.period),
    )
    fields.finish()
    return query


def read_watch(request: leaderboard_pb.WatchLeaderboardRequest) -> watch.WatchRequest:
    """Read what a watcher wants."""
    fields = FieldReader()
    after = request.after_position if request.HasField("after_position") else None
    wanted = watch.WatchRequest(
        board_id=fields.identifier("board_id", request.board_id),
        top_n=fields.number("top_n", request.top_n, 1, watch.MAX_TOP),
        after=None if after is None else fields.position("after_position", after),
        all_scores=request.all_scores,
        user_ids=frozenset(fields.identifiers("user_ids", request.user_ids, 0, watch.MAX_USERS)),
        choice=fields.period_choice("period", request.period),
    )
    fields.finish()
    return wanted


def write_result(outcome: AwardOutcome) -> score_pb.AwardResult:
    """Write what became of an award."""
    recorded = outcome.recorded
    return score_pb.AwardResult(
        award_id=recorded.award_id,
        revision=recorded.revision,
        position=str(recorded.position),
        points=recorded.points,
        total=recorded.total,
        rank=outcome.rank,
        replayed=outcome.replayed,
        reversed=recorded.reversed,
    )


def _is_line(text: str) -> bool:
    """Return whether a text shows as one line, in the order in which it is written."""
    return _LINE_BREAKERS.isdisjoint(map(unicodedata.category, text)) and _DIRECTIONS.isdisjoint(
        map(unicodedata.bidirectional, text)
    )


def write_reversal(reversal: Reversal) -> types_pb.Reversal:
    """Write an award that was taken back."""
    return types_pb.Reversal(
        reversal_id=reversal.reversal_id,
        award_id=reversal.award_id,
        award_revision=reversal.award_revision,
        user_id=reversal.user_id,
        points=reversal.points,
        total=reversal.total,
        revision=reversal.revision,
        position=str(reversal.position),
        reason=reversal.reason,
        actor=reversal.actor,
        on_behalf_of=reversal.on_behalf_of,
        recorded_at=write_instant(reversal.recorded_at),
        final_periods=reversal.final_periods,
    )


def add_standings(add: Callable[..., object], standings: Iterable[Standing]) -> None:
    """Write standings by the `add` of a field, which would copy messages that are made before."""
    for standing in standings:
        add(**_write_standing(standing))


def _write_standing(standing: Standing) -> dict[str, Any]:
    return {
        "user_id": standing.user_id,
        "total": standing.total,
        "rank": standing.rank,
        "reached_revision": standing.reached_revision,
        "hidden": standing.hidden,
    }


def write_period(view: PeriodView) -> types_pb.Period:
    """Write a period as an answer shows it."""
    period = view.period
    return types_pb.Period(
        id=period.period_id,
        kind=PERIOD_KINDS[period.kind],
        starts_at=write_instant(period.starts_at),
        ends_at=write_instant(period.ends_at),
        closes_at=write_instant(period.closes_at),
        state=_PERIOD_STATES[view.state],
        next_starts_at=write_instant(view.next_starts_at) if view.next_starts_at else None,
        entrants=view.entrants,
    )


def write_instant(instant: datetime) -> Timestamp:
    """Write a time, to the microsecond."""
    timestamp = Timestamp()
    timestamp.FromDatetime(instant)
    return timestamp


def _write_view(view: BoardView) -> dict[str, Any]:
    """Write the fields that every answer to a read has."""
    period = write_period(view.period) if view.period else None
    return {"period": period, **_write_origin(view.position, view.source)}


def _write_origin(position: Position, source: Source) -> dict[str, Any]:
    """Write where an answer holds, and which store gave it."""
    return {"revision": position.revision, "position": str(position), "source": _SOURCES[source]}


def write_standing(view: BoardView) -> leaderboard_pb.GetStandingResponse:
    """Write the only standing of a view."""
    (standing,) = view.standings
    return leaderboard_pb.GetStandingResponse(
        standing=types_pb.Standing(**_write_standing(standing)), **_write_view(view)
    )


def write_view(view: BoardView, response: type[_Response], **fields: Any) -> _Response:
    """Write the standings of a view as a response of some type, with the fields that only this type has."""
    written = response(**_write_view(view), **fields)
    add_standings(written.standings.add, view.standings)
    return written


def write_watch_message(message: watch.WatchMessage) -> leaderboard_pb.WatchLeaderboardResponse:
    """Write one message of a watch."""
    response = leaderboard_pb.WatchLeaderboardResponse(
        **_write_origin(message.position, message.source),
    )
    match message.body:
        case watch.Snapshot(top, reset, shown):
            period = write_period(shown) if shown else None
            snapshot = leaderboard_pb.Snapshot(reset=reset, period=period)
            add_standings(snapshot.top.add, top)
            response.snapshot.CopyFrom(snapshot)
        case watch.Update(top, scores):
            update = leaderboard_pb.Update(top_changed=top is not None)
            add_standings(update.top.add, top or ())
            add_standings(update.scores.add, scores)
            response.update.CopyFrom(update)
        case watch.Checkpoint():
            response.checkpoint.SetInParent()
    return response
