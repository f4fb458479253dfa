"""Fields of requests. Pure.

A request is read whole: every fault in it is found before it is rejected. Descriptions of
faults never repeat what was sent.
"""

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from score_service.domain.board.identifier import is_identifier, is_trace_id, parse_uuid
from score_service.domain.board.period import ALL_TIME, PeriodChoice, parse_period_choice
from score_service.domain.ledger.position import Position
from score_service.errors import InvalidRequestError

MAX_PAGE: Final = 1000
_DEFAULT_PAGE: Final = 50
_TRACE_RULE: Final = "must be 32 lower-case hexadecimal digits, not all zero"
_MAX_FAULTS: Final = 16
"""More would not fit into the trailing metadata that carries them."""
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


def _is_line(text: str) -> bool:
    """Return whether a text shows as one line, in the order in which it is written."""
    return _LINE_BREAKERS.isdisjoint(map(unicodedata.category, text)) and _DIRECTIONS.isdisjoint(
        map(unicodedata.bidirectional, text)
    )
