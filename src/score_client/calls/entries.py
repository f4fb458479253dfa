"""The entries of a board, across all the streams that it takes to read them.

A stream that breaks is opened again after the last entry that came, so each comes once, and none is missed.
"""

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import grpc

from score_api.v1 import ledger_service_pb2 as ledger
from score_client.calls.marshal import (
    decode_board,
    decode_instant,
    decode_period,
    decode_recorded_award,
    decode_reversal,
    decode_seen_by,
    invalid,
    names,
)
from score_client.entry_types import (
    Entry,
    EntryKind,
    LedgerArchived,
    PeriodClosed,
    SettingsChange,
    VisibilityChange,
)
from score_client.errors import ServiceFaultError
from score_client.transport.channel import RenewedChannel
from score_client.transport.connection import Stubs
from score_client.transport.reopened import PASSING, ReopenedStream
from score_client.transport.retry import retried
from score_client.transport.tracing import propagated

_ENTRIES_PER_MESSAGE: Final = 250
"""A message costs both sides as much as ten entries do."""
_KINDS: Final[Mapping[EntryKind, ledger.EntryKind.ValueType]] = {
    EntryKind.AWARD: ledger.ENTRY_KIND_AWARD,
    EntryKind.REVERSAL: ledger.ENTRY_KIND_REVERSAL,
    EntryKind.VISIBILITY: ledger.ENTRY_KIND_VISIBILITY,
    EntryKind.PERIOD_CLOSED: ledger.ENTRY_KIND_PERIOD_CLOSED,
    EntryKind.SETTINGS: ledger.ENTRY_KIND_SETTINGS,
    EntryKind.ARCHIVED: ledger.ENTRY_KIND_ARCHIVED,
}

_Stream = grpc.aio.UnaryStreamCall[ledger.StreamEntriesRequest, ledger.StreamEntriesResponse]


def canonical_kinds(field: str, values: Iterable[EntryKind]) -> list[ledger.EntryKind.ValueType]:
    """Write kinds of entries the way the contract wants them."""
    kinds = names(field, values)
    if not set(kinds) <= _KINDS.keys():
        raise invalid({field: f"must be any of {', '.join(_KINDS)}"})
    return [_KINDS[kind] for kind in kinds]


class EntryReader:
    """Reads entries, from a new stream if the last one broke."""

    def __init__(
        self,
        channel: RenewedChannel,
        request: ledger.StreamEntriesRequest,
        *,
        first_timeout: float,
        stall_timeout: float,
        on_checkpoint: Callable[[str], None] = lambda _position: None,
    ) -> None:
        self._on_checkpoint = on_checkpoint
        self._request = request
        self._request.entries_per_message = _ENTRIES_PER_MESSAGE
        self._revision = 0
        """Of the last entry that came."""
        self._stream = ReopenedStream(
            channel, self._open, first_timeout=first_timeout, stall_timeout=stall_timeout
        )

    async def entries(self) -> AsyncGenerator[Entry, None]:
        """Yield the entries, for as long as the stream may be opened again."""
        try:
            while True:
                entries = await retried(self._next, on=PASSING, within=None)
                if not entries:
                    self._on_checkpoint(self._request.after_position)
                for entry in entries:
                    yield entry
        finally:
            self._stream.close()

    def _open(self, stubs: Stubs) -> _Stream:
        return stubs.ledger.StreamEntries(self._request, metadata=propagated())

    async def _next(self) -> list[Entry]:
        """Read a message, and move on behind it: what it has is with the caller then."""
        message = await self._stream.read()
        try:
            entries = list(self._decode(message))
        except BaseException:
            self._stream.close()
            raise
        last = message.following[-1] if message.following else message
        self._request.after_position, self._revision = last.position, last.revision
        return entries

    def _decode(self, message: ledger.StreamEntriesResponse) -> Iterator[Entry]:
        revision = self._revision
        for part in (message, *message.following):
            name = part.WhichOneof("entry")
            decode = _DECODERS.get(name or "")  # A later version of the service may have other kinds.
            if decode is None:
                continue
            if part.revision <= revision:
                raise ServiceFaultError("MALFORMED_ANSWER", "An entry came again, or out of order.")
            revision = part.revision
            kind, read = decode
            yield Entry(
                kind=kind, revision=revision, position=part.position, content=read(getattr(part, name or ""))
            )


def _decode_visibility(message: ledger.VisibilityChange) -> VisibilityChange:
    return VisibilityChange(
        user_id=message.user_id,
        visibility=decode_seen_by(message.visibility),
        reason=message.reason,
        actor=message.actor,
        on_behalf_of=message.on_behalf_of,
        recorded_at=decode_instant(message.recorded_at),
    )


def _decode_period_closed(message: ledger.PeriodClosed) -> PeriodClosed:
    return PeriodClosed(
        period=decode_period(message.period),
        digest=message.digest,
        final_revision=message.final_revision,
        recorded_at=decode_instant(message.recorded_at),
    )


def _decode_settings(message: ledger.SettingsChange) -> SettingsChange:
    return SettingsChange(
        board=decode_board(message.board),
        actor=message.actor,
        recorded_at=decode_instant(message.recorded_at),
    )


def _decode_archived(message: ledger.LedgerArchived) -> LedgerArchived:
    return LedgerArchived(
        archived_revision=message.archived_revision,
        archived_position=message.archived_position,
        awards=message.awards,
        actor=message.actor,
        recorded_at=decode_instant(message.recorded_at),
    )


_DECODERS: Final[Mapping[str, tuple[EntryKind, Callable[[Any], Any]]]] = {
    "award": (EntryKind.AWARD, decode_recorded_award),
    "reversal": (EntryKind.REVERSAL, decode_reversal),
    "visibility": (EntryKind.VISIBILITY, _decode_visibility),
    "period_closed": (EntryKind.PERIOD_CLOSED, _decode_period_closed),
    "settings": (EntryKind.SETTINGS, _decode_settings),
    "archived": (EntryKind.ARCHIVED, _decode_archived),
}
