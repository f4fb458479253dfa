"""Certificates and keys in PEM: what gRPC takes, who signed whom, and which authority a chain needs. Pure."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final, TypeAlias, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

_RSA_BITS_MIN: Final = 2048
"""NIST SP 800-131A, and what browsers demand."""
FIT_KEYS: Final = f"ECDSA on P-256 or P-384, or RSA with {_RSA_BITS_MIN} bits or more,"
_BEGINNING: Final = b"-----BEGIN CERTIFICATE-----"
Chain: TypeAlias = Sequence[x509.Certificate]
_T = TypeVar("_T")
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


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


def describe_key(key: CertificatePublicKeyTypes) -> str:
    """Name the kind of a key and its size."""
    match key:
        case rsa.RSAPublicKey():
            return f"RSA with {key.key_size} bits"
        case ec.EllipticCurvePublicKey():
            return f"ECDSA on {key.curve.name}"
        case _:
            return type(key).__name__.removesuffix("PublicKey")


def is_fit(key: CertificatePublicKeyTypes) -> bool:
    """Tell whether a key is strong enough, and of a kind that gRPC takes in a handshake."""
    match key:
        case rsa.RSAPublicKey():
            return key.key_size >= _RSA_BITS_MIN
        case ec.EllipticCurvePublicKey():
            return isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1)
        case _:
            return False


def find_faults(certificate: x509.Certificate) -> Iterator[str]:
    """Tell what keeps a server or a caller from showing a certificate, whenever it holds.

    gRPC takes some of these in, and fails every handshake.
    """
    if not is_fit(key := certificate.public_key()):
        yield f"has a key that is {describe_key(key)}: {FIT_KEYS} is needed"
    usage = find_extension(certificate, x509.KeyUsage)
    if usage and not usage.digital_signature:
        yield "has a key usage without digitalSignature"


def is_authority(certificate: x509.Certificate) -> bool:
    """Tell whether a certificate may sign others."""
    constraints = find_extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def find_extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """Tell an extension, or None if it is not there or cannot be read."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return None


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
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise ValueError("is not what it should be in PEM") from None
