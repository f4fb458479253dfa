"""Who calls: the one SPIFFE id of the peer's certificate, and until when it is valid. Pure.

gRPC offers `peer_spiffe_id` only for a verified certificate whose single URI is a SPIFFE id; common names and
other alternative names never count. But it hands the value over as text that ends at the first NUL, so the
certificate itself has to say the same, and the grammar is checked again in full.

TLS checks a certificate at a full handshake, and not again while the connection or a resumed session lasts.
So its end is part of the identity, to be compared with the time at each call.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography import x509

from score_service.errors import CertificateExpiredError, IdentityMissingError
from service_runtime.tls.pem import end_of, find_path, parse_certificates

_SPIFFE_ID: Final = re.compile(r"spiffe://[a-z0-9._-]{1,255}(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]+)+")
_MAX_LENGTH: Final = 2048


@dataclass(frozen=True, slots=True)
class Peer:
    """The caller as its certificate names it."""

    spiffe_id: str
    not_after: float
    """When the certificate expires, or an intermediate that it came with and that signed it: seconds since
    1970, UTC."""

    def require_valid(self, now: float) -> None:
        """Take the time, in seconds since 1970. Raises CertificateExpiredError after the end."""
        if now > self.not_after:
            raise CertificateExpiredError


def is_spiffe_id(text: str) -> bool:
    """Return whether the text is the SPIFFE id of a workload: a trust domain and a path."""
    return len(text) <= _MAX_LENGTH and _SPIFFE_ID.fullmatch(text) is not None


def read_peer(auth_context: Mapping[str, Iterable[bytes]]) -> Peer:
    """Return the caller. Whether its certificate has expired by now is not looked at.

    Raises:
        IdentityMissingError: the certificate carries no SPIFFE id, several, or one that is not well formed.
    """
    intermediates = b"".join(auth_context.get("x509_pem_cert_chain", ()))
    match tuple(auth_context.get("peer_spiffe_id", ())), tuple(auth_context.get("x509_pem_cert", ())):
        case (value,), (certificate,) if peer := _parse(value, certificate, intermediates):
            return peer
        case _:
            raise IdentityMissingError


@lru_cache(maxsize=1024)
def _parse(value: bytes, certificate: bytes, intermediates: bytes) -> Peer | None:
    """Read the caller, if the id is all that the certificate says. Callers are few and call often."""
    text = value.decode("ascii", "replace")
    try:
        own, *_ = parse_certificates(certificate)
        path = find_path(own, parse_certificates(intermediates) if intermediates else ())
        not_after = end_of(path).timestamp()
    except ValueError:
        return None
    return Peer(text, not_after) if is_spiffe_id(text) and _read_uris(own) == [text] else None


def _read_uris(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)
