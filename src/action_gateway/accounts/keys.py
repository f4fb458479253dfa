"""Signing keys: a folder of PEM files, one Ed25519 private key each.

The last by file name signs, all verify. A key is added by adding a file and retired by removing it; the
folder is looked at again every few seconds, and at once for a token whose key is not known. To let other
replicas learn a key before it signs, add it under a name that sorts early and rename it later.

A folder that cannot be read, holds no key or holds a broken one leaves the keys as they were.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from service_runtime.errors import SetupError
from service_runtime.telemetry.logs import error_fields
from service_runtime.tls.jwk import describe_key, find_thumbprint
from service_runtime.tls.pem import parse_key

_RELOAD_SECONDS: Final = 5.0
_RELOAD_SECONDS_MIN: Final = 0.5
_MAX_FILE_BYTES: Final = 4096

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """An Ed25519 key and its name."""

    key_id: str
    """The RFC 7638 thumbprint of the public key."""
    private: Ed25519PrivateKey
    public: Ed25519PublicKey

    def to_jwk(self) -> dict[str, str]:
        """Describe the public half as a JSON Web Key."""
        return describe_key(self.public, self.key_id)


class KeyFolder:
    """The keys of one kind of token."""

    def __init__(self, folder: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Read the folder. Raises SetupError if there is no usable key."""
        self._folder = folder
        self._monotonic = monotonic
        self._looked_at = monotonic()
        self._listing = _list(folder)
        self._keys = _read(folder)

    def signing_key(self) -> SigningKey:
        """Return the key that signs now."""
        self._look(_RELOAD_SECONDS)
        return list(self._keys.values())[-1]

    def find(self, key_id: str) -> SigningKey | None:
        """Return the key of this name, if there is one."""
        self._look(_RELOAD_SECONDS)
        if key_id not in self._keys:
            self._look(_RELOAD_SECONDS_MIN)
        return self._keys.get(key_id)

    def key_ids(self) -> frozenset[str]:
        """Name all keys."""
        return frozenset(self._keys)

    def to_jwks(self) -> dict[str, list[dict[str, str]]]:
        """Describe the public halves of all keys as a JSON Web Key Set."""
        self._look(_RELOAD_SECONDS)
        return {"keys": [key.to_jwk() for key in self._keys.values()]}

    def _look(self, after_seconds: float) -> None:
        if self._monotonic() - self._looked_at < after_seconds:
            return
        self._looked_at = self._monotonic()
        try:
            listing = _list(self._folder)
            if listing != self._listing:
                self._keys, self._listing = _read(self._folder), listing
                _log.info("keys_loaded", folder=str(self._folder), key_ids=list(self._keys))
        except (OSError, SetupError) as error:
            _log.error("keys_rejected", folder=str(self._folder), **error_fields(error))


def _list(folder: Path) -> list[tuple[str, int, int]]:
    files = sorted(folder.glob("*.pem"))
    return [(file.name, file.stat().st_mtime_ns, file.stat().st_ino) for file in files]


def _read(folder: Path) -> Mapping[str, SigningKey]:
    keys = [_read_key(file) for file in sorted(folder.glob("*.pem"))]
    if not keys:
        raise SetupError([f"{folder}: holds no *.pem file"])
    return {key.key_id: key for key in keys}


def _read_key(file: Path) -> SigningKey:
    try:
        with file.open("rb") as opened:
            private = parse_key(opened.read(_MAX_FILE_BYTES))
    except (OSError, ValueError):
        raise SetupError([f"{file}: is not a readable private key"]) from None
    if not isinstance(private, Ed25519PrivateKey):
        raise SetupError([f"{file}: is not an Ed25519 private key"])
    public = private.public_key()
    return SigningKey(find_thumbprint(public), private, public)
