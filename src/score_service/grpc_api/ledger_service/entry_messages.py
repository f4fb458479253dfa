"""Entries of a feed to messages, and what a reader asks for to a value. Pure.

Tens of thousands of entries a second leave here, so each is written to bytes once, however many readers get
it, and messages of many entries are put together from these bytes.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from score_api.v1 import correction_service_pb2 as correction_pb
from score_api.v1 import ledger_service_pb2 as ledger_pb
from score_api.v1 import types_pb2 as types_pb
from score_service.domain.board.period import ALL_TIME, PeriodKind
from score_service.domain.ledger.entry import (
    ALL_KINDS,
    AwardEntry,
    Entry,
    EntryKind,
    FeedRequest,
    OtherEntry,
    position_of,
)
from score_service.domain.ledger.position import Position
from score_service.grpc_api.board_service.messages import write_settings
from score_service.grpc_api.fields import FieldReader
from score_service.grpc_api.messages import PERIOD_KINDS
from score_service.periods.settings_json import read_settings

MESSAGE_ENTRIES_MAX: Final = 1000
_MESSAGE_BYTES: Final = 1_000_000
"""Of a message with several entries. Most have 200 bytes, settings with many seasons have thousands."""
_KINDS: Final[Mapping[int, EntryKind]] = {
    ledger_pb.ENTRY_KIND_AWARD: EntryKind.AWARD,
    ledger_pb.ENTRY_KIND_REVERSAL: EntryKind.REVERSAL,
    ledger_pb.ENTRY_KIND_VISIBILITY: EntryKind.VISIBILITY,
    ledger_pb.ENTRY_KIND_PERIOD_CLOSED: EntryKind.PERIOD_CLOSED,
    ledger_pb.ENTRY_KIND_SETTINGS: EntryKind.SETTINGS,
    ledger_pb.ENTRY_KIND_ARCHIVED: EntryKind.ARCHIVED,
}
_VISIBILITIES: Final = {
    "visible": correction_pb.VISIBILITY_VISIBLE,
    "hidden": correction_pb.VISIBILITY_HIDDEN,
    "shadowed": correction_pb.VISIBILITY_SHADOWED,
}
_MICROS: Final = 1_000_000
_SEVEN_BITS: Final = 0x7F
_FOLLOWING: Final = bytes([ledger_pb.StreamEntriesResponse.FOLLOWING_FIELD_NUMBER << 3 | 2])
"""What stands before each entry in `following`: the number of the field, and that its length comes next."""


def read_feed_request(request: ledger_pb.StreamEntriesRequest) -> tuple[FeedRequest, int]:
    """Read what a reader asks for, and how many entries a message may hold."""
    fields = FieldReader()
    board_id = fields.identifier("board_id", request.board_id)
    text = request.after_position
    after = fields.position("after_position", text) if text else Position.start(board_id)
    for index, kind in enumerate(request.kinds):
        fields.require(kind in _KINDS, f"kinds[{index}]", "is not known")
    most = fields.at_least_zero("entries_per_message", request.entries_per_message)
    fields.finish()
    if after is None:
        raise TypeError("a position that cannot be read is a fault")
    kinds = frozenset(_KINDS[kind] for kind in request.kinds) or ALL_KINDS
    return FeedRequest(board_id, after, kinds), min(most, MESSAGE_ENTRIES_MAX) or 1


def write_checkpoint(position: Position) -> bytes:
    """Write that a feed has come to a position."""
    return ledger_pb.StreamEntriesResponse(
        checkpoint=ledger_pb.FeedCheckpoint(), revision=position.revision, position=str(position)
    ).SerializeToString()


def write_entry(entry: Entry, board_id: str) -> bytes:
    """Write one entry.

    Raises:
        ValueError: it is of a later version, which this one does not understand.
    """
    position = str(position_of(entry))
    if isinstance(entry, AwardEntry):
        message = ledger_pb.StreamEntriesResponse(
            award=_write_award(entry), revision=entry.revision, position=position
        )
    else:
        message = _write_other(entry, json.loads(entry.body), board_id)
        message.revision, message.position = entry.revision, position
    return message.SerializeToString()


def join_entries(entries: Iterable[bytes]) -> Iterator[bytes]:
    """Put entries into as few messages as they fit into: the first of each, and others in its `following`."""
    parts, size = list[bytes](), 0
    for entry in entries:
        if parts and size + len(entry) > _MESSAGE_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
        parts += (_FOLLOWING, _write_length(len(entry)), entry) if parts else (entry,)
        size += len(entry)
    if parts:
        yield b"".join(parts)


def _write_length(length: int) -> bytes:
    """Write a length as protobuf does: seven bits a byte, the lowest first, an eighth where more follow."""
    written = bytearray()
    while length > _SEVEN_BITS:
        written.append(length & _SEVEN_BITS | _SEVEN_BITS + 1)
        length >>= 7
    written.append(length)
    return bytes(written)


def _write_award(entry: AwardEntry) -> ledger_pb.RecordedAward:
    return ledger_pb.RecordedAward(
        award_id=entry.award_id,
        revision=entry.revision,
        user_id=entry.user_id,
        points=entry.points,
        total=entry.total,
        action_type=entry.action_type,
        action_id=entry.action_id,
        caller=entry.caller,
        trace_id=entry.trace_id,
        recorded_at=_write_instant(entry.recorded_at),
        occurred_at=_write_instant(entry.occurred_at) if entry.occurred_at is not None else None,
        periods=entry.periods.split(),
    )


def _write_other(
    entry: OtherEntry, body: Mapping[str, Any], board_id: str
) -> ledger_pb.StreamEntriesResponse:
    match entry.kind:
        case EntryKind.REVERSAL:
            return ledger_pb.StreamEntriesResponse(reversal=_write_reversal(entry, body))
        case EntryKind.VISIBILITY:
            return ledger_pb.StreamEntriesResponse(visibility=_write_visibility(entry, body))
        case EntryKind.PERIOD_CLOSED:
            return ledger_pb.StreamEntriesResponse(period_closed=_write_period(entry, body))
        case EntryKind.SETTINGS:
            return ledger_pb.StreamEntriesResponse(settings=_write_settings(entry, body, board_id))
        case EntryKind.ARCHIVED:
            return ledger_pb.StreamEntriesResponse(archived=_write_archived(entry, body))
        case _:
            return ledger_pb.StreamEntriesResponse()


def _write_reversal(entry: OtherEntry, body: Mapping[str, Any]) -> types_pb.Reversal:
    totals = {scope: total for scope, total, _ in body["standings"]}
    return types_pb.Reversal(
        reversal_id=body["reversal_id"],
        award_id=body["award_id"],
        award_revision=body["award_revision"],
        user_id=body["user_id"],
        points=body["points"],
        total=totals[ALL_TIME],
        revision=entry.revision,
        position=str(position_of(entry)),
        reason=body["reason"],
        actor=entry.actor,
        on_behalf_of=body["on_behalf_of"],
        recorded_at=_write_instant(entry.recorded_at),
        final_periods=body["final_periods"],
    )


def _write_visibility(entry: OtherEntry, body: Mapping[str, Any]) -> ledger_pb.VisibilityChange:
    return ledger_pb.VisibilityChange(
        user_id=body["user_id"],
        visibility=_VISIBILITIES[body["visibility"]],
        reason=body["reason"],
        actor=entry.actor,
        on_behalf_of=body["on_behalf_of"],
        recorded_at=_write_instant(entry.recorded_at),
    )


def _write_period(entry: OtherEntry, body: Mapping[str, Any]) -> ledger_pb.PeriodClosed:
    period = types_pb.Period(
        id=body["period_id"],
        kind=PERIOD_KINDS[PeriodKind(body["kind"])],
        starts_at=_write_instant(body["starts_at"]),
        ends_at=_write_instant(body["ends_at"]),
        closes_at=_write_instant(body["closes_at"]),
        state=types_pb.PERIOD_STATE_FINAL,
        entrants=body["entrants"],
    )
    return ledger_pb.PeriodClosed(
        period=period,
        digest=bytes.fromhex(body["digest"]),
        final_revision=body["closed_revision"],
        recorded_at=_write_instant(entry.recorded_at),
    )


def _write_settings(entry: OtherEntry, body: Mapping[str, Any], board_id: str) -> ledger_pb.SettingsChange:
    board = write_settings(board_id, read_settings(body), entry.revision, position_of(entry))
    return ledger_pb.SettingsChange(
        board=board, actor=entry.actor, recorded_at=_write_instant(entry.recorded_at)
    )


def _write_archived(entry: OtherEntry, body: Mapping[str, Any]) -> ledger_pb.LedgerArchived:
    cut = Position.of(body["revision"], bytes.fromhex(body["digest"]))
    return ledger_pb.LedgerArchived(
        archived_revision=cut.revision,
        archived_position=str(cut),
        awards=body["awards"],
        actor=entry.actor,
        recorded_at=_write_instant(entry.recorded_at),
    )


def _write_instant(micros: int) -> Timestamp:
    """Write microseconds since 1970."""
    seconds, rest = divmod(micros, _MICROS)
    return Timestamp(seconds=seconds, nanos=rest * 1000)
