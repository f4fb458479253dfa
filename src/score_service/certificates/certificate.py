"""Certificates and keys in PEM: what gRPC takes, who signed whom, and which authority a chain needs. Pure."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

_RSA_BITS_MIN: Final = 2048
"""NIST SP 800-131A, and what browsers demand."""
FIT_KEYS: Final = f"ECDSA on P-256 or P-384, or RSA with {_RSA_BITS_MIN} bits or more,"
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


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
    """Return whether a key is strong enough, and of a kind that gRPC takes in a handshake."""
    match key:
        case rsa.RSAPublicKey():
            return key.key_size >= _RSA_BITS_MIN
        case ec.EllipticCurvePublicKey():
            return isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1)
        case _:
            return False


def find_faults(certificate: x509.Certificate) -> Iterator[str]:
    """Return what keeps a server or a caller from showing a certificate, whenever it holds.

    gRPC takes some of these in, and fails every handshake.
    """
    if not is_fit(key := certificate.public_key()):
        yield f"has a key that is {describe_key(key)}: {FIT_KEYS} is needed"
    usage = find_extension(certificate, x509.KeyUsage)
    if usage and not usage.digital_signature:
        yield "has a key usage without digitalSignature"


def is_authority(certificate: x509.Certificate) -> bool:
    """Return whether a certificate may sign others."""
    constraints = find_extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def find_extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """Return an extension, or None if it is not there or cannot be read."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return None


def holds(certificate: x509.Certificate, now: datetime) -> bool:
    """Return whether a certificate has begun and not ended."""
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
