"""Entries as CloudEvents 1.0, in JSON. Pure.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from cloudevents.core.bindings.http import to_structured_event
from cloudevents.core.v1.event import CloudEvent

from score_client import Entry, LedgerArchived, PeriodClosed, SettingsChange

_TYPE: Final = "laurel."
"""What the types of all events begin with; the kind of the entry follows."""


_WRITERS: Final[Mapping[type, Callable[[Any], object]]] = {
    datetime: lambda instant: instant.isoformat().replace("+00:00", "Z"),
    timedelta: timedelta.total_seconds,
    UUID: str,
    bytes: bytes.hex,
}


@dataclass(frozen=True, slots=True)
class Event:
    """An event as it is sent, the same at each attempt."""

    event_id: str
    """Of the board and the revision, so a receiver knows again what it is sent twice."""
    headers: Mapping[str, str]
    body: bytes


def make_event(board_id: str, entry: Entry, source: str) -> Event:
    """Make the event of an entry of a board."""
    event_id = f"{board_id}/{entry.revision}"
    attributes = {
        "id": event_id,
        "source": source,
        "type": f"{_TYPE}{entry.kind.value}",
        "subject": _name_subject(board_id, entry),
        "time": entry.content.recorded_at,
        "datacontenttype": "application/json",
    }
    data = {
        "board_id": board_id,
        "revision": entry.revision,
        "position": entry.position,
        entry.kind.value: _write(entry.content),
    }
    message = to_structured_event(CloudEvent(attributes, data))
    return Event(event_id, message.headers, message.body)


def _name_subject(board_id: str, entry: Entry) -> str:
    """Name whom or what an entry is about."""
    match entry.content:
        case PeriodClosed(period=period):
            return period.period_id
        case SettingsChange() | LedgerArchived():
            return board_id
        case content:
            return content.user_id


def _write(value: object) -> Any:
    """Write a value as JSON has it: instants by RFC 3339, spans of time in seconds, bytes in hex."""
    if is_dataclass(value):
        return {field.name: _write(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [_write(part) for part in value]
    for kind, write in _WRITERS.items():
        if isinstance(value, kind):
            return write(value)
    return value
