"""Messages of `LeaderboardService` to values of the service and back. Pure."""

from typing import Any, Final, TypeVar

from score_api.v1 import leaderboard_service_pb2 as leaderboard_pb
from score_api.v1 import types_pb2 as types_pb
from score_service.domain.board.period import PeriodChoice
from score_service.domain.ledger.position import Position
from score_service.domain.standings import watch
from score_service.domain.standings.standing import BoardView, Source
from score_service.grpc_api.fields import FieldReader
from score_service.grpc_api.messages import add_standings, write_period, write_standing_fields

MAX_RADIUS: Final = 100
MAX_USERS: Final = 1000
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
        standing=types_pb.Standing(**write_standing_fields(standing)), **_write_view(view)
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
