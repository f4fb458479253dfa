"""What is well and what is wrong with a certificate, its key and the authorities, in plain words. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from score_service.access.identity import is_spiffe_id
from score_service.access.policy import SERVICES, Grant
from score_service.certificates.certificate import describe_key, find_extension, find_faults, is_authority
from score_service.certificates.phrases import listed, moment, number, plain, span
from score_service.certificates.trust import find_authority
from service_runtime.pem import Chain, is_signed_by, parse_certificates, parse_key

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


class Mark(StrEnum):
    """How a remark is meant."""

    FINE = "ok"
    DOUBTFUL = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Remark:
    """A sentence whose subject is the file."""

    mark: Mark
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """What is to be said of one file."""

    title: str
    remarks: Sequence[Remark]


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
    """Say whom a certificate names, until when it holds, what it is good for and where it leads."""
    chain, remarks = _parse(file)
    if chain:
        trusted, _ = _parse(authorities)
        remarks += _inspect_own(chain[0], role, now)
        remarks += (_inspect_between(certificate, now) for certificate in chain[1:])
        remarks += [_inspect_path(chain, trusted, now)] if trusted else []
    return Section(f"certificate {file.name}", remarks)


def inspect_key(file: PemFile, certificate: PemFile) -> Section:
    """Say what a key is, and whether it fits the certificate. Nothing of the key itself is said."""
    remarks = []
    if file.mode & _OTHERS:
        remarks.append(_doubtful(f"is open to everybody on this machine: its mode is {file.mode:04o}"))
    chain, _ = _parse(certificate)
    return Section(f"key {file.name}", [*remarks, _inspect_key(file.pem, chain)])


def inspect_authorities(file: PemFile, certificate: PemFile, now: datetime) -> Section:
    """Say who is trusted, and until when."""
    trusted, remarks = _parse(file)
    chain, _ = _parse(certificate)
    remarks += (_inspect_authority(authority, chain, now) for authority in trusted)
    return Section(f"authorities {file.name}", remarks)


def find_identity(certificate: PemFile) -> str | None:
    """Return the SPIFFE id that a certificate gives a caller; None if it gives none."""
    chain, _ = _parse(certificate)
    uris = _uris(chain[0]) if chain else []
    return uris[0] if len(uris) == 1 and is_spiffe_id(uris[0]) else None


def inspect_grant(policy: str, identity: str | None, grant: Grant | None) -> Section:
    """Say what a policy allows an identity."""
    if identity is None:
        remarks = [_wrong("can name no certificate that gives no identity")]
    elif grant is None:
        remarks = [_wrong(f"does not name {identity}: whatever it calls is refused")]
    else:
        remarks = [_fine(f"names {identity}"), *map(_fine, _describe_grant(grant))]
    return Section(f"policy {policy}", remarks)


def inspect_faults(policy: str, faults: Iterable[str]) -> Section:
    """Say what is wrong with a policy that cannot be used."""
    return Section(f"policy {policy}", [_wrong(plain(fault)) for fault in faults])


def is_well(sections: Iterable[Section]) -> bool:
    """Return whether nothing is wrong."""
    return not _count(sections, Mark.WRONG)


def conclude(sections: Sequence[Section]) -> str:
    """Say in one line how it stands."""
    wrong, doubtful = _count(sections, Mark.WRONG), _count(sections, Mark.DOUBTFUL)
    return f"{number(wrong, 'thing')} wrong, {number(doubtful, 'warning')}"


def _count(sections: Iterable[Section], mark: Mark) -> int:
    return sum(remark.mark is mark for section in sections for remark in section.remarks)


def _fine(text: str) -> Remark:
    return Remark(Mark.FINE, text)


def _doubtful(text: str) -> Remark:
    return Remark(Mark.DOUBTFUL, text)


def _wrong(text: str) -> Remark:
    return Remark(Mark.WRONG, text)


def _parse(file: PemFile) -> tuple[Chain, list[Remark]]:
    if not file.pem:
        return (), [_wrong("is empty or cannot be read")]
    remarks = []
    if _PRIVATE_KEY in file.pem:
        remarks.append(_wrong("holds a private key, which belongs into the file of the key alone"))
    try:
        return parse_certificates(file.pem), remarks
    except ValueError as error:
        return (), [*remarks, _wrong(str(error))]


def _inspect_own(own: x509.Certificate, role: Role, now: datetime) -> Iterator[Remark]:
    yield _fine(f"is that of {_name(own.subject)}; its key is {describe_key(own.public_key())}")
    yield from map(_wrong, find_faults(own))
    if is_authority(own):  # X.509-SVID, section 4.1. gRPC does not mind.
        yield _doubtful("may sign others, which SPIFFE allows no workload")
    yield _inspect_names(own, role)
    yield _inspect_usage(own, role)
    yield _inspect_life("", own, now)
    yield _fine(f"is signed by {_name(own.issuer)}")


def _inspect_names(own: x509.Certificate, role: Role) -> Remark:
    uris, hosts = _uris(own), _hosts(own)
    said = f"names {listed([*uris, *hosts]) or 'nobody'}"
    match role:
        case Role.SERVER if not hosts:
            return _wrong(f"{said}: a server needs the DNS name by which it is called")
        case Role.CLIENT if len(uris) != 1:
            return _wrong(f"{said}: a client needs exactly one URI, its SPIFFE id")
        case Role.CLIENT if not is_spiffe_id(uris[0]):
            return _wrong(f"{said}: a SPIFFE id is spiffe://trust-domain/path")
    return _fine(said)


def _inspect_usage(own: x509.Certificate, role: Role) -> Remark:
    word, usage = _USAGES[role]
    allowed = find_extension(own, x509.ExtendedKeyUsage)
    if allowed is None:
        return _doubtful("does not say what it may be used for, so it may be used for anything")
    if usage in allowed:
        return _fine(f"may be used by a {role}: its extended key usages have {word}")
    return _wrong(f"may not be used by a {role}: its extended key usages lack {word}")


def _inspect_life(subject: str, certificate: x509.Certificate, now: datetime) -> Remark:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begin:
        return _wrong(f"{subject}does not hold before {moment(begin)}, in {span(begin - now)}")
    if now > end:
        return _wrong(f"{subject}ended at {moment(end)}, {span(now - end)} ago")
    said = f"{subject}holds until {moment(end)}, for another {span(end - now)}"
    last = (end - begin) / _LAST_PART
    if end - now < (min(last, _LAST_DAYS) if is_authority(certificate) else last):
        return _doubtful(f"{said}, and should have been renewed by now")
    return _fine(said)


def _inspect_between(certificate: x509.Certificate, now: datetime) -> Remark:
    name = _name(certificate.subject)
    if not is_authority(certificate):
        return _wrong(f"brings along {name}, which is no authority")
    return _inspect_life(f"brings along {name}, which ", certificate, now)


def _inspect_path(chain: Chain, trusted: Chain, now: datetime) -> Remark:
    try:
        authority = find_authority(chain, trusted, now)
    except ValueError as error:
        return _wrong(str(error))
    end = authority.not_valid_after_utc
    if end < chain[0].not_valid_after_utc:
        return _doubtful(f"leads to {_name(authority.subject)}, which ends before it, at {moment(end)}")
    return _fine(f"leads to {_name(authority.subject)}, which is trusted")


def _inspect_key(pem: bytes, chain: Chain) -> Remark:
    if not pem:
        return _wrong("is empty or cannot be read")
    if _ENCRYPTED in pem:
        return _wrong("is encrypted, and a service has nobody to ask for the password")
    try:
        key = parse_key(pem).public_key()
    except ValueError:
        return _wrong("is no private key in PEM")
    if not chain:
        return _fine("is a private key")
    if key != chain[0].public_key():
        return _wrong("is not the key of the certificate")
    return _fine("fits the certificate")


def _inspect_authority(authority: x509.Certificate, chain: Chain, now: datetime) -> Remark:
    name = _name(authority.subject)
    if not is_authority(authority):
        return _doubtful(f"has {name}, which is no authority and counts for nothing")
    life = _inspect_life(f"trusts {name}, which ", authority, now)
    if life.mark is not Mark.WRONG or any(is_signed_by(one, authority) for one in chain):
        return life
    has_ended = authority.not_valid_after_utc < now
    return _doubtful(f"{life.text}, and can be left out" if has_ended else life.text)


def _describe_grant(grant: Grant) -> Iterator[str]:
    for service, methods in SERVICES.items():
        if allowed := [method.partition("/")[2] for method in methods if method in grant.methods]:
            yield f"allows {listed(allowed)} of {service.rpartition('.')[2]}"
    yield f"allows {'every board' if '*' in grant.boards else f'the boards {listed(grant.boards)}'}"
    if grant.max_points:
        yield (
            f"allows {number(grant.max_points, 'point')} an award, "
            f"{number(grant.awards_per_second, 'award')} a second and "
            f"{number(grant.points_per_minute, 'point')} a minute"
        )


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
