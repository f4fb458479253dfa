"""Who calls: the one SPIFFE id of the peer's certificate. Pure.

gRPC offers `peer_spiffe_id` only for a verified certificate whose single URI is a SPIFFE id, so that key
alone decides; common names and other alternative names never do. The grammar is checked again in full,
since gRPC hands the value over as text that ends at the first NUL.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from score_service.errors import IdentityMissingError

_SPIFFE_ID: Final = re.compile(r"spiffe://[a-z0-9._-]{1,255}(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]+)+")
_MAX_LENGTH: Final = 2048


def is_spiffe_id(text: str) -> bool:
    """Tell whether the text is the SPIFFE id of a workload: a trust domain and a path."""
    return len(text) <= _MAX_LENGTH and _SPIFFE_ID.fullmatch(text) is not None


def read_spiffe_id(auth_context: Mapping[str, Iterable[bytes]]) -> str:
    """Tell the caller's SPIFFE id.

    Raises:
        IdentityMissingError: the certificate carries none, several, or one that is not well formed.
    """
    match tuple(auth_context.get("peer_spiffe_id", ())):
        case (value,) if spiffe_id := _parse(value):
            return spiffe_id
        case _:
            raise IdentityMissingError


@lru_cache(maxsize=1024)
def _parse(value: bytes) -> str | None:
    """Read a SPIFFE id. Callers are few and call often."""
    text = value.decode("ascii", "replace")
    return text if is_spiffe_id(text) else None
