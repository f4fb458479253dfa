"""Messages that answers of several services have. Pure."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from score_api.v1 import types_pb2 as types_pb
from score_service.domain.board.period import PeriodKind, PeriodState, PeriodView
from score_service.domain.ledger.reversal import Reversal
from score_service.domain.standings.standing import Standing

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
        add(**write_standing_fields(standing))


def write_standing_fields(standing: Standing) -> dict[str, Any]:
    """Write the fields of a standing."""
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
