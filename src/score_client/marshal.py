"""Between the library's values and protobuf messages, both ways.

What the service can judge, it judges; only what no message can carry fails here.
"""

import re
from collections.abc import Iterable
from typing import Any, TypeVar
from uuid import UUID

from google.protobuf.message import Message

from score_api.v1 import leaderboard_service_pb2 as boards
from score_api.v1 import score_service_pb2 as scores
from score_api.v1 import types_pb2
from score_client.errors import InvalidRequestError, ServiceFaultError
from score_client.types import (
    AwardResult,
    Checkpoint,
    Snapshot,
    Source,
    Standing,
    StandingsView,
    StandingView,
    Update,
    WatchEvent,
)

_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")

_M = TypeVar("_M", bound=Message)

_StandingsResponse = (
    boards.BatchGetStandingsResponse | boards.ListStandingsResponse | boards.ListStandingsAroundResponse
)


def encode(kind: type[_M], path: str = "", /, **fields: Any) -> _M:
    """Make a message of these fields; None leaves a field unset.

    Raises:
        InvalidRequestError: A value cannot be carried by its field. `path` goes before the field's name.
    """
    try:
        return kind(**fields)
    except (TypeError, ValueError):
        faults = {
            path + name: fault for name, value in fields.items() if (fault := _fault(kind, name, value))
        }
        raise invalid(faults) from None


def invalid(faults: dict[str, str]) -> InvalidRequestError:
    """Reject a request for what is wrong with its fields."""
    text = "; ".join(f"{field} {fault}" for field, fault in faults.items())
    return InvalidRequestError("INVALID_FIELD", text, faults)


def canonical_uuid(field: str, value: object) -> str:
    """Write a UUID the way the contract wants it."""
    if not isinstance(value, UUID):
        raise invalid({field: f"must be a UUID, not {type(value).__name__}"})
    return str(value)


def canonical_trace_id(value: str | None) -> str:
    """Write a trace id the way the contract wants it; the empty text for none."""
    if value is not None and not _TRACE_ID.fullmatch(str(value)):
        raise invalid({"trace_id": "must be 32 lower-case hexadecimal digits, not all zero"})
    return value or ""


def names(field: str, values: object) -> tuple[Any, ...]:
    """Take several names; a single one would pass for as many as it has letters."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise invalid({field: "must be a collection of names"})
    return tuple(values)


def _fault(kind: type[Message], name: str, value: object) -> str | None:
    try:
        kind(**{name: value})
    except (TypeError, ValueError) as error:
        return f"cannot be sent: {error}"
    return None


def decode_award(message: scores.AwardResult) -> AwardResult:
    """Read what an award did."""
    try:
        award_id = UUID(message.award_id)
    except ValueError as error:
        raise ServiceFaultError("MALFORMED_ANSWER", "The answer names no award.") from error
    return AwardResult(
        award_id=award_id,
        revision=message.revision,
        position=message.position,
        points=message.points,
        total=message.total,
        rank=message.rank if message.HasField("rank") else None,
        replayed=message.replayed,
    )


def decode_standing(message: types_pb2.Standing) -> Standing:
    """Read one standing."""
    return Standing(
        user_id=message.user_id,
        total=message.total,
        rank=message.rank if message.HasField("rank") else None,
        reached_revision=message.reached_revision,
    )


def decode_standing_view(message: boards.GetStandingResponse) -> StandingView:
    """Read the answer that carries one standing."""
    return StandingView(
        standing=decode_standing(message.standing),
        revision=message.revision,
        position=message.position,
        source=_decode_source(message.source),
    )


def decode_standings_view(message: _StandingsResponse) -> StandingsView:
    """Read an answer that carries several standings, paged or not."""
    return StandingsView(
        standings=_decode_standings(message.standings),
        revision=message.revision,
        position=message.position,
        source=_decode_source(message.source),
        next_page_token=message.next_page_token if isinstance(message, boards.ListStandingsResponse) else "",
    )


def decode_event(message: boards.WatchLeaderboardResponse) -> WatchEvent:
    """Read one message of a watch. Of a kind not known yet, the position is all that counts."""
    revision, position, source = message.revision, message.position, _decode_source(message.source)
    match message.WhichOneof("message"):
        case "snapshot":
            top, reset = _decode_standings(message.snapshot.top), message.snapshot.reset
            return Snapshot(top=top, reset=reset, revision=revision, position=position, source=source)
        case "update":
            update = message.update
            new_top = _decode_standings(update.top) if update.top_changed else None
            changed = _decode_standings(update.scores)
            return Update(top=new_top, scores=changed, revision=revision, position=position, source=source)
        case _:
            return Checkpoint(revision=revision, position=position, source=source)


def _decode_standings(messages: Iterable[types_pb2.Standing]) -> tuple[Standing, ...]:
    return tuple(map(decode_standing, messages))


def _decode_source(source: types_pb2.Source.ValueType) -> Source:
    # A store that this version does not know is not the record.
    return Source.RECORD if source == types_pb2.SOURCE_RECORD else Source.CACHE
