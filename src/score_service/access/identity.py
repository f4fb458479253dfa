"""Who calls: the one SPIFFE id of the peer's certificate. Pure.

gRPC offers `peer_spiffe_id` only for a verified certificate whose single URI is a SPIFFE id; common names and
other alternative names never count. But it hands the value over as text that ends at the first NUL, so the
certificate itself has to say the same, and the grammar is checked again in full.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from cryptography import x509

from score_service.errors import IdentityMissingError

_SPIFFE_ID: Final = re.compile(r"spiffe://[a-z0-9._-]{1,255}(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]+)+")
_MAX_LENGTH: Final = 2048


def is_spiffe_id(text: str) -> bool:
    """Return whether the text is the SPIFFE id of a workload: a trust domain and a path."""
    return len(text) <= _MAX_LENGTH and _SPIFFE_ID.fullmatch(text) is not None


def read_spiffe_id(auth_context: Mapping[str, Iterable[bytes]]) -> str:
    """Return the caller's SPIFFE id.

    Raises:
        IdentityMissingError: the certificate carries none, several, or one that is not well formed.
    """
    match tuple(auth_context.get("peer_spiffe_id", ())), tuple(auth_context.get("x509_pem_cert", ())):
        case (value,), (certificate,) if spiffe_id := _parse(value, certificate):
            return spiffe_id
        case _:
            raise IdentityMissingError


@lru_cache(maxsize=1024)
def _parse(value: bytes, certificate: bytes) -> str | None:
    """Read a SPIFFE id, if it is all that the certificate says. Callers are few and call often."""
    text = value.decode("ascii", "replace")
    return text if is_spiffe_id(text) and _read_uris(certificate) == [text] else None


def _read_uris(certificate: bytes) -> list[str]:
    try:
        extensions = x509.load_pem_x509_certificate(certificate).extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)
