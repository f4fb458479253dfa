"""What is well and what is wrong with a certificate, its key and the authorities, in plain words. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from score_service.access.identity import is_spiffe_id
from score_service.certificates.certificate import describe_key, find_extension, find_faults, is_authority
from score_service.certificates.phrases import listed, moment, plain, span
from score_service.certificates.remarks import Mark, Remark, Section, doubtful, fine, wrong
from score_service.certificates.trust import find_authority
from service_runtime.tls.pem import Chain, is_signed_by, parse_certificates, parse_key

_LAST_PART: Final = 4
"""In the last quarter of its life a certificate should have been renewed: cert-manager does at a third."""
_LAST_DAYS: Final = timedelta(days=30)
"""For an authority, whose life is long, it is this."""
_OTHERS: Final = 0o007
_PRIVATE_KEY: Final = b"PRIVATE KEY-----"
_ENCRYPTED: Final = b"ENCRYPTED"


class Role(StrEnum):
    """Who shows a certificate."""

    SERVER = "server"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class PemFile:
    """A file as it was read."""

    name: str
    pem: bytes
    """Empty if it could not be read."""
    mode: int
    """Its permissions."""


_USAGES: Final = {
    Role.SERVER: ("serverAuth", ExtendedKeyUsageOID.SERVER_AUTH),
    Role.CLIENT: ("clientAuth", ExtendedKeyUsageOID.CLIENT_AUTH),
}


def inspect_certificate(file: PemFile, authorities: PemFile, role: Role, now: datetime) -> Section:
    """Describe whom a certificate names, until when it holds, what it is good for and where it leads."""
    chain, remarks = _parse(file)
    if chain:
        trusted, _ = _parse(authorities)
        remarks += _inspect_own(chain[0], role, now)
        remarks += (_inspect_between(certificate, now) for certificate in chain[1:])
        remarks += [_inspect_path(chain, trusted, now)] if trusted else []
    return Section(f"certificate {file.name}", remarks)


def inspect_key(file: PemFile, certificate: PemFile) -> Section:
    """Describe a key, and whether it belongs to the certificate. Nothing of the key itself is shown."""
    remarks = []
    if file.mode & _OTHERS:
        remarks.append(doubtful(f"is open to everybody on this machine: its mode is {file.mode:04o}"))
    chain, _ = _parse(certificate)
    return Section(f"key {file.name}", [*remarks, _inspect_key(file.pem, chain)])


def inspect_authorities(file: PemFile, certificate: PemFile, now: datetime) -> Section:
    """Describe who is trusted, and until when."""
    trusted, remarks = _parse(file)
    chain, _ = _parse(certificate)
    remarks += (_inspect_authority(authority, chain, now) for authority in trusted)
    return Section(f"authorities {file.name}", remarks)


def find_identity(certificate: PemFile) -> str | None:
    """Return the SPIFFE id that a certificate gives a caller; None if it gives none."""
    chain, _ = _parse(certificate)
    uris = _uris(chain[0]) if chain else []
    return uris[0] if len(uris) == 1 and is_spiffe_id(uris[0]) else None


def _parse(file: PemFile) -> tuple[Chain, list[Remark]]:
    if not file.pem:
        return (), [wrong("is empty or cannot be read")]
    remarks = []
    if _PRIVATE_KEY in file.pem:
        remarks.append(wrong("holds a private key, which belongs into the file of the key alone"))
    try:
        return parse_certificates(file.pem), remarks
    except ValueError as error:
        return (), [*remarks, wrong(str(error))]


def _inspect_own(own: x509.Certificate, role: Role, now: datetime) -> Iterator[Remark]:
    yield fine(f"is that of {_name(own.subject)}; its key is {describe_key(own.public_key())}")
    yield from map(wrong, find_faults(own))
    if is_authority(own):  # X.509-SVID, section 4.1. gRPC does not mind.
        yield doubtful("may sign others, which SPIFFE allows no workload")
    yield _inspect_names(own, role)
    yield _inspect_usage(own, role)
    yield _inspect_life("", own, now)
    yield fine(f"is signed by {_name(own.issuer)}")


def _inspect_names(own: x509.Certificate, role: Role) -> Remark:
    uris, hosts = _uris(own), _hosts(own)
    said = f"names {listed([*uris, *hosts]) or 'nobody'}"
    match role:
        case Role.SERVER if not hosts:
            return wrong(f"{said}: a server needs the DNS name by which it is called")
        case Role.CLIENT if len(uris) != 1:
            return wrong(f"{said}: a client needs exactly one URI, its SPIFFE id")
        case Role.CLIENT if not is_spiffe_id(uris[0]):
            return wrong(f"{said}: a SPIFFE id is spiffe://trust-domain/path")
    return fine(said)


def _inspect_usage(own: x509.Certificate, role: Role) -> Remark:
    word, usage = _USAGES[role]
    allowed = find_extension(own, x509.ExtendedKeyUsage)
    if allowed is None:
        return doubtful("does not say what it may be used for, so it may be used for anything")
    if usage in allowed:
        return fine(f"may be used by a {role}: its extended key usages have {word}")
    return wrong(f"may not be used by a {role}: its extended key usages lack {word}")


def _inspect_life(subject: str, certificate: x509.Certificate, now: datetime) -> Remark:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begin:
        return wrong(f"{subject}does not hold before {moment(begin)}, in {span(begin - now)}")
    if now > end:
        return wrong(f"{subject}ended at {moment(end)}, {span(now - end)} ago")
    said = f"{subject}holds until {moment(end)}, for another {span(end - now)}"
    last = (end - begin) / _LAST_PART
    if end - now < (min(last, _LAST_DAYS) if is_authority(certificate) else last):
        return doubtful(f"{said}, and should have been renewed by now")
    return fine(said)


def _inspect_between(certificate: x509.Certificate, now: datetime) -> Remark:
    name = _name(certificate.subject)
    if not is_authority(certificate):
        return wrong(f"brings along {name}, which is no authority")
    return _inspect_life(f"brings along {name}, which ", certificate, now)


def _inspect_path(chain: Chain, trusted: Chain, now: datetime) -> Remark:
    try:
        authority = find_authority(chain, trusted, now)
    except ValueError as error:
        return wrong(str(error))
    end = authority.not_valid_after_utc
    if end < chain[0].not_valid_after_utc:
        return doubtful(f"leads to {_name(authority.subject)}, which ends before it, at {moment(end)}")
    return fine(f"leads to {_name(authority.subject)}, which is trusted")


def _inspect_key(pem: bytes, chain: Chain) -> Remark:
    if not pem:
        return wrong("is empty or cannot be read")
    if _ENCRYPTED in pem:
        return wrong("is encrypted, and a service has nobody to ask for the password")
    try:
        key = parse_key(pem).public_key()
    except ValueError:
        return wrong("is no private key in PEM")
    if not chain:
        return fine("is a private key")
    if key != chain[0].public_key():
        return wrong("is not the key of the certificate")
    return fine("fits the certificate")


def _inspect_authority(authority: x509.Certificate, chain: Chain, now: datetime) -> Remark:
    name = _name(authority.subject)
    if not is_authority(authority):
        return doubtful(f"has {name}, which is no authority and counts for nothing")
    life = _inspect_life(f"trusts {name}, which ", authority, now)
    if life.mark is not Mark.WRONG or any(is_signed_by(one, authority) for one in chain):
        return life
    has_ended = authority.not_valid_after_utc < now
    return doubtful(f"{life.text}, and can be left out" if has_ended else life.text)


def _uris(certificate: x509.Certificate) -> list[str]:
    names = find_extension(certificate, x509.SubjectAlternativeName)
    return names.get_values_for_type(x509.UniformResourceIdentifier) if names else []


def _hosts(certificate: x509.Certificate) -> list[str]:
    names = find_extension(certificate, x509.SubjectAlternativeName)
    if names is None:
        return []
    return [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]


def _name(name: x509.Name) -> str:
    return plain(name.rfc4514_string()) or "nobody"
