"""Certificates and keys in PEM: parsed, who signed whom, when they expire, and files read as one set."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

Chain: TypeAlias = Sequence[x509.Certificate]
Stamp: TypeAlias = tuple[int, int, int, int]

_BEGINNING: Final = b"-----BEGIN CERTIFICATE-----"
_READINGS: Final = 5
"""How often files that change meanwhile are read before the next look."""
_T = TypeVar("_T")
_S = TypeVar("_S")


def parse_certificates(pem: bytes) -> Chain:
    """Parse one certificate or more. Raises ValueError."""
    try:
        certificates = x509.load_pem_x509_certificates(pem)
        for certificate in certificates:
            certificate.public_key()  # It is parsed only when it is asked for, and may turn out to be none.
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise ValueError("is not a certificate in PEM") from None
    if len(certificates) != pem.count(_BEGINNING):
        raise ValueError("is cut off")
    return certificates


def parse_key(pem: bytes) -> PrivateKeyTypes:
    """Parse a private key that is not encrypted. Raises ValueError."""
    try:
        return load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("is not a private key in PEM, or is encrypted") from None


def is_signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether a certificate names another one as its issuer, and that one's key signed it."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def find_path(own: x509.Certificate, others: Chain) -> Chain:
    """Return a certificate with those of the others that it rests on, each followed by what signed it.

    Those that came along for nothing do not count. While an intermediate is renewed, both that have its key
    may be there: then the one that expires later counts.
    """
    path, rest = [own], list(others)
    while signers := [one for one in rest if is_signed_by(path[-1], one)]:
        path.append(max(signers, key=lambda one: one.not_valid_after_utc))
        rest = [one for one in rest if one not in signers]
    return path


def find_signers(authorities: Chain, chain: Chain) -> Chain:
    """Return those of the authorities that signed a certificate of a chain."""
    return [own for own in authorities if any(is_signed_by(certificate, own) for certificate in chain)]


def end_of(chain: Chain) -> datetime:
    """Return when the first certificate of a chain expires, and with it the chain."""
    return min(certificate.not_valid_after_utc for certificate in chain)


def end_of_authorities(authorities: Chain, signers: Chain, now: datetime) -> datetime:
    """Return when the trust expires that the holder of a chain depends on.

    While an authority is replaced, the old one and the new one are trusted. The old one is needed as long as
    it is what the holder's own chain leads to: so the end is that of the authority that signed the chain, and
    the latest if several certificates of its key are there. Where none did, because callers have another
    authority than the server, nothing says which are needed: then it is the earliest end of those that have
    not expired.

    Args:
        authorities: all that are trusted.
        signers: those of them that signed the holder's chain, see `find_signers`.
        now: the time.
    """
    if signers:
        return max(authority.not_valid_after_utc for authority in signers)
    ends = [authority.not_valid_after_utc for authority in authorities]
    return min((end for end in ends if now <= end), default=max(ends))


def stamp(path: Path) -> Stamp:
    """Return what changes when a file or a link to it does. Raises OSError."""
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def read_unchanged(look: Callable[[], _S], read: Callable[[], _T]) -> tuple[_S, _T] | None:
    """Read files as they all were at one moment; None where they change each time.

    A volume of Kubernetes switches all its files at once; what was read before and after that is not one set.

    Args:
        look: returns the state of the files, which any change of them changes.
        read: reads them.
    """
    for _ in range(_READINGS):
        seen = look()
        read_by_then = read()
        if look() == seen:
            return seen, read_by_then
    return None
