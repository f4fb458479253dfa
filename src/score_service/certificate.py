"""Certificates and keys in PEM, and which of the trusted authorities a chain of them needs. Pure."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, TypeAlias, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

_BEGINNING: Final = b"-----BEGIN CERTIFICATE-----"
Chain: TypeAlias = Sequence[x509.Certificate]
_T = TypeVar("_T")


def parse_certificates(pem: bytes) -> Chain:
    """Read one certificate or more. Raises ValueError."""
    certificates = _parse(lambda: x509.load_pem_x509_certificates(pem))
    if len(certificates) != pem.count(_BEGINNING):
        raise ValueError("is cut off")
    for certificate in certificates:
        # The key is read only when it is asked for, and may turn out to be none.
        _parse(certificate.public_key)
    return certificates


def parse_key(pem: bytes) -> PrivateKeyTypes:
    """Read a private key that is not encrypted. Raises ValueError."""
    return _parse(lambda: load_pem_private_key(pem, None))


def is_signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Tell whether a certificate names another one as its issuer, and that one's key signed it."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def holds(certificate: x509.Certificate, now: datetime) -> bool:
    """Tell whether a certificate has begun and not ended."""
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def end_of(chain: Chain) -> datetime:
    """Tell when the first certificate of a chain ends, and with it the chain."""
    return min(certificate.not_valid_after_utc for certificate in chain)


def end_of_authorities(authorities: Chain, chain: Chain, now: datetime) -> datetime:
    """Tell when the trust ends that the holder of a chain lives by.

    While an authority is replaced, the old one and the new one are trusted. The old one is needed as long as
    it is what the holder's own chain leads to: so the end is that of the authority that signed the chain, and
    the latest if several certificates of its key are there. Where none did, because callers have another
    authority than the server, nothing tells which are needed: then it is the earliest end of those that hold.
    """
    needed = [own for own in authorities if any(is_signed_by(certificate, own) for certificate in chain)]
    ends = [authority.not_valid_after_utc for authority in needed or authorities]
    if needed:
        return max(ends)
    return min((end for end in ends if now <= end), default=max(ends))


def _parse(load: Callable[[], _T]) -> _T:
    try:
        return load()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("is not what it should be in PEM") from None
