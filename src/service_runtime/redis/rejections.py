"""Why a Redis that answers rejects a script, in the same words for all its versions. Pure."""

from collections.abc import Mapping
from typing import Final

from redis.exceptions import NoPermissionError, OutOfMemoryError, ReadOnlyError, ResponseError

_REASONS: Final[Mapping[type[ResponseError], str]] = {
    ReadOnlyError: "rejects writes: it is a replica",
    OutOfMemoryError: "rejects writes: maxmemory is reached",
    NoPermissionError: "rejects a script: its access list does not allow it",
}
_REASONS_BY_CODE: Final[Mapping[str, str]] = {
    "NOREPLICAS": "rejects writes: fewer replicas follow it than min-replicas-to-write",
    "MISCONF": "rejects writes: it could not save to its disk",
}
"""Of errors for which redis-py has no class."""


def explain_rejection(error: BaseException | None) -> str | None:
    """Return what a server that rejects a script is reported with; None for any other error."""
    reason = next((text for kind, text in _REASONS.items() if isinstance(error, kind)), None)
    if reason is None and isinstance(error, ResponseError):
        reason = _REASONS_BY_CODE.get(str(error).partition(" ")[0])
    return reason
