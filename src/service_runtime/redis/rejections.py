"""Why a Redis that answers rejects a script, in the same words for all its versions. Pure."""

from collections.abc import Mapping
from typing import Final

from redis.exceptions import NoPermissionError, OutOfMemoryError, ReadOnlyError, ResponseError

_DENIED: Final = "rejects a script: its access list does not allow it"
_REASONS: Final[Mapping[type[ResponseError], str]] = {
    ReadOnlyError: "rejects writes: it is a replica",
    OutOfMemoryError: "rejects writes: maxmemory is reached",
    NoPermissionError: _DENIED,
}
_REASONS_BY_CODE: Final[Mapping[str, str]] = {
    "NOREPLICAS": "rejects writes: fewer replicas follow it than min-replicas-to-write",
    "MISCONF": "rejects writes: it could not save to its disk",
}
"""Of errors for which redis-py has no class."""
_DENIED_IN_SCRIPT: Final = ("The user executing the script can't ", "ACL failure in script: ")
"""How Redis 7.0, and later ones and Valkey, tell that an access list denies a command in a script: as ERR."""


def explain_rejection(error: BaseException | None) -> str | None:
    """Return what a server that rejects a script is reported with; None for any other error."""
    reason = next((text for kind, text in _REASONS.items() if isinstance(error, kind)), None)
    if reason is None and isinstance(error, ResponseError):
        text = str(error)
        reason = _REASONS_BY_CODE.get(text.partition(" ")[0])
        if reason is None and text.startswith(_DENIED_IN_SCRIPT):
            reason = _DENIED
    return reason
