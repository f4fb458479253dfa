"""Why a Redis that answers rejects to be written to, in the same words for all its versions. Pure."""

from collections.abc import Mapping
from typing import Final

from redis.exceptions import NoPermissionError, OutOfMemoryError, ReadOnlyError, ResponseError

_REASONS: Final[Mapping[type[ResponseError], str]] = {
    ReadOnlyError: "it is a replica",
    OutOfMemoryError: "maxmemory is reached",
    NoPermissionError: "its access list does not allow them",
}
_REASONS_BY_CODE: Final[Mapping[str, str]] = {
    "NOREPLICAS": "fewer replicas follow it than min-replicas-to-write",
    "MISCONF": "it could not save to its disk",
}
"""Of errors for which redis-py has no class."""


def explain_rejection(error: BaseException | None) -> str | None:
    """Return what a server that rejects a script is reported with; None for any other error."""
    reason = next((text for kind, text in _REASONS.items() if isinstance(error, kind)), None)
    if reason is None and isinstance(error, ResponseError):
        reason = _REASONS_BY_CODE.get(str(error).partition(" ")[0])
    return f"rejects writes: {reason}" if reason else None
