"""The register of outside issuers: who they are now.

The file and the key sets that it names are looked at again every few seconds, and at once for an issuer or a
key that is not known. What has faults leaves the register as it was. A key is added by adding it to its set
before its issuer signs with it, and retired by removing it.
"""

import time
from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Final

import structlog

from action_gateway.issuers.issuer import Issuer, IssuerKey
from action_gateway.issuers.issuers_file import parse_issuers
from service_runtime.errors import SetupError

_RELOAD_SECONDS: Final = 5.0
_RELOAD_SECONDS_MIN: Final = 0.5
_FILE_BYTES_MAX: Final = 256 * 1024

_log = structlog.get_logger(__name__)


class Register:
    """The outside issuers."""

    def __init__(
        self,
        path: Path | None,
        *,
        own_issuer: str,
        own_key_ids: Callable[[], Container[str]] = frozenset,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the file; without one there are no issuers.

        Args:
            path: The file.
            own_issuer: `iss` of this gateway.
            own_key_ids: Returns the thumbprints of the keys of this gateway.
            monotonic: Seconds that never step back.

        Raises:
            SetupError: it has faults.
        """
        self._path = path
        self._own_issuer = own_issuer
        self._own_key_ids = own_key_ids
        self._monotonic = monotonic
        self._looked_at = monotonic()
        self._contents: dict[Path, bytes | None] = {}
        self._issuers: Mapping[str, Issuer] = {} if path is None else self._load(path)
        self._is_faulty = False

    def find(self, issuer: str) -> Issuer | None:
        """Return the issuer with this `iss`, if it is registered."""
        self._look(_RELOAD_SECONDS)
        if issuer not in self._issuers:
            self._look(_RELOAD_SECONDS_MIN)
        return self._issuers.get(issuer)

    def find_key(self, issuer: str, key_id: str) -> IssuerKey | None:
        """Return the key of this name among those of an issuer, and of no other."""
        if (found := self._find_key(issuer, key_id)) is None:
            self._look(_RELOAD_SECONDS_MIN)
            found = self._find_key(issuer, key_id)
        return found

    @property
    def count(self) -> int:
        """How many are registered."""
        self._look(_RELOAD_SECONDS)
        return len(self._issuers)

    @property
    def is_faulty(self) -> bool:
        """Whether the files as they were at the last look are not in use."""
        self._look(_RELOAD_SECONDS)
        return self._is_faulty

    def _find_key(self, issuer: str, key_id: str) -> IssuerKey | None:
        found = self._issuers.get(issuer)
        return None if found is None else found.keys.get(key_id)

    def _look(self, after_seconds: float) -> None:
        if self._path is None or self._monotonic() - self._looked_at < after_seconds:
            return
        self._looked_at = self._monotonic()
        if all(_read(path) == content for path, content in self._contents.items()):
            return
        try:
            self._issuers = self._load(self._path)
        except SetupError as error:
            self._is_faulty = True
            _log.error("ticket_issuers_rejected", faults=list(error.faults))
        else:
            self._is_faulty = False
            _log.info("ticket_issuers_loaded", issuers=[one.name for one in self._issuers.values()])

    def _load(self, path: Path) -> Mapping[str, Issuer]:
        """Read everything anew, and keep what was read: only another content is looked at again."""
        self._contents.clear()
        return parse_issuers(
            path, self._read_text, own_issuer=self._own_issuer, own_key_ids=self._own_key_ids()
        )

    def _read_text(self, path: Path) -> str:
        content = self._contents[path] = _read(path)
        try:
            if content is not None and len(content) <= _FILE_BYTES_MAX:
                return content.decode()
        except UnicodeDecodeError:
            pass
        raise SetupError([f"must be a readable text file of at most {_FILE_BYTES_MAX // 1024} KiB"])


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(_FILE_BYTES_MAX + 1)
    except (OSError, ValueError):  # A name with a NUL is the latter.
        return None
