"""The signatures of events, by Standard Webhooks: HMAC-SHA256 of id, time and body.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog
from standardwebhooks import Webhook

from score_relay.events.cloud_event import Event
from service_runtime.errors import SetupError

_PREFIX: Final = "whsec_"
_KEY_BYTES: Final = range(24, 65)
"""What the specification allows."""
_FILE_BYTES_MAX: Final = 4096
_READ_SECONDS: Final = 10.0

_log = structlog.get_logger(__name__)


class Signer:
    """Signs with the keys of one or two files, which are read again from time to time."""

    def __init__(self, files: Sequence[Path], now: float) -> None:
        """Read the files, at a time in seconds that never steps back.

        Raises:
            SetupError: one of them holds no key.
        """
        self._files = files
        self._keys = _read_keys(files)
        self._read_at = now

    def sign(self, event: Event, at: datetime, now: float) -> Mapping[str, str]:
        """Return the headers that prove where an event comes from, and when it was sent."""
        if now >= self._read_at + _READ_SECONDS:
            self._read_again(now)
        moment, body = at.astimezone(UTC), event.body.decode()
        signatures = [key.sign(event.event_id, moment, body) for key in self._keys]
        return {
            "webhook-id": event.event_id,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": " ".join(signatures),
        }

    def _read_again(self, now: float) -> None:
        self._read_at = now
        try:
            self._keys = _read_keys(self._files)
        except SetupError as error:
            _log.warning("secrets_faulty", faults=list(error.faults))  # The former ones are still in use.


def _read_keys(files: Sequence[Path]) -> list[Webhook]:
    faults, keys = list[str](), list[Webhook]()
    for path in files:
        try:
            keys.append(Webhook(_read_key(path)))
        except ValueError as error:
            faults.append(f"{path}: {error}")
    if faults:
        raise SetupError(faults)
    return keys


def _read_key(path: Path) -> bytes:
    """Read a key. Raises ValueError, which never shows what the file holds."""
    try:
        with path.open("rb") as file:
            text = file.read(_FILE_BYTES_MAX).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise ValueError("cannot be read") from None
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not text.startswith(_PREFIX) or len(key) not in _KEY_BYTES:
        raise ValueError(f"must be {_PREFIX} and 24 to 64 bytes in base64")
    return key
