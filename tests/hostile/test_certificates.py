"""Certificates of callers: only one that an authority signed, and that is meant for a caller, is accepted.

The plain cases (none, a foreign authority, another time, no or several identities) are in the tests of the
dispatcher.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from grpc import StatusCode
from tests.fixtures.certificates import GATEWAY_ID, build_certificate
from tests.fixtures.services.score_service import Connect, ScoreService, award_request, rejected

from local_stack.certificates import TRUST_DOMAIN, CertificateAuthority, CertificateFiles

NO_HANDSHAKE = (StatusCode.UNAVAILABLE, "")
NO_IDENTITY = (StatusCode.UNAUTHENTICATED, "IDENTITY_MISSING")
DENIED = (StatusCode.PERMISSION_DENIED, "NOT_ALLOWED")
Issue: TypeAlias = Callable[..., CertificateFiles]


def uri(text: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(text)


def write(folder: Path, ca_file: Path, chain: bytes, key: ec.EllipticCurvePrivateKey) -> CertificateFiles:
    files = CertificateFiles(ca_file, folder / "odd.pem", folder / "odd-key.pem")
    files.certificate_file.write_bytes(chain)
    files.key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


@pytest.fixture
def issue(authority: CertificateAuthority, tmp_path: Path) -> Issue:
    """Return a function that has the trusted authority sign an odd certificate."""

    def sign(*names: x509.GeneralName, **changes: Any) -> CertificateFiles:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = build_certificate(authority.certificate.subject, key, names, **changes)
        certificate = builder.sign(authority.key, hashes.SHA256())
        return write(tmp_path, authority.ca_file, certificate.public_bytes(Encoding.PEM), key)

    return sign


@pytest.fixture
def try_award(score_service: ScoreService, connect: Connect) -> Callable[[CertificateFiles], Any]:
    """Return a function that makes an award with a certificate, and returns the status of the rejection."""

    async def award(certificate: CertificateFiles) -> tuple[StatusCode, str]:
        stubs = connect(score_service, certificate)
        status = await rejected(stubs.score.AwardPoints(award_request(), timeout=20))
        return status.code, status.reason

    return award


@pytest.mark.parametrize("is_authority", [False, True])
async def test_a_valid_certificate_is_accepted(
    score_service: ScoreService, connect: Connect, issue: Issue, *, is_authority: bool
) -> None:
    stubs = connect(score_service, issue(uri(GATEWAY_ID), is_authority=is_authority))

    assert (await stubs.score.AwardPoints(award_request(), timeout=20)).result.total == 10


async def test_a_certificate_for_servers_alone_is_rejected(try_award: Any, issue: Issue) -> None:
    assert await try_award(issue(uri(GATEWAY_ID), usages=[ExtendedKeyUsageOID.SERVER_AUTH])) == NO_HANDSHAKE


async def test_a_certificate_that_the_caller_signed_is_rejected(
    try_award: Any, authority: CertificateAuthority, tmp_path: Path
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    # Even under the name of the authority.
    own = build_certificate(authority.certificate.subject, key, [uri(GATEWAY_ID)]).sign(key, hashes.SHA256())
    pem = own.public_bytes(Encoding.PEM)
    assert await try_award(write(tmp_path, authority.ca_file, pem, key)) == NO_HANDSHAKE


async def test_a_certificate_signed_by_a_callers_certificate_is_rejected(
    try_award: Any, authority: CertificateAuthority, tmp_path: Path
) -> None:
    middle_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "odd")])
    middle = build_certificate(authority.certificate.subject, middle_key, [uri(GATEWAY_ID)]).sign(
        authority.key, hashes.SHA256()
    )
    leaf = build_certificate(name, key, [uri(GATEWAY_ID)], subject="leaf").sign(middle_key, hashes.SHA256())
    chain = leaf.public_bytes(Encoding.PEM) + middle.public_bytes(Encoding.PEM)
    assert await try_award(write(tmp_path, authority.ca_file, chain, key)) == NO_HANDSHAKE


async def test_a_foreign_certificate_without_its_key_is_rejected(
    try_award: Any, gateway_certificate: CertificateFiles, backend_certificate: CertificateFiles
) -> None:
    assert (
        await try_award(replace(gateway_certificate, key_file=backend_certificate.key_file)) == NO_HANDSHAKE
    )


NAMES = [
    f"{GATEWAY_ID}\x00",
    f"{GATEWAY_ID}\x00.evil.example.org",
    f"{GATEWAY_ID}%00",
    f"{GATEWAY_ID}#x",
    f"{GATEWAY_ID}?x",
    f"{GATEWAY_ID} ",
    f" {GATEWAY_ID}",
    f"{GATEWAY_ID}\n",
    f"{GATEWAY_ID}/.",
    f"spiffe://{TRUST_DOMAIN}/x/../action-gateway",
    f"spiffe://{TRUST_DOMAIN}//action-gateway",
    f"SPIFFE://{TRUST_DOMAIN}/action-gateway",
    f"spiffe://{TRUST_DOMAIN.upper()}/action-gateway",
    f"spiffe://{TRUST_DOMAIN}:443/action-gateway",
    f"spiffe://x@{TRUST_DOMAIN}/action-gateway",
    "",
]


async def test_an_identity_is_the_whole_of_the_name_and_nothing_like_it(try_award: Any, issue: Issue) -> None:
    for name in NAMES:
        assert await try_award(issue(uri(name))) in {NO_IDENTITY, DENIED}, name


async def test_no_other_part_of_a_certificate_is_an_identity(try_award: Any, issue: Issue) -> None:
    names = [x509.DNSName("action-gateway"), x509.RFC822Name("gateway@laurel.local")]
    assert await try_award(issue(*names, subject=GATEWAY_ID)) == NO_IDENTITY
    assert await try_award(issue(x509.DNSName(GATEWAY_ID), subject=GATEWAY_ID)) == NO_IDENTITY


async def test_an_identity_of_another_trust_domain_is_denied(try_award: Any, issue: Issue) -> None:
    for domain in (f"{TRUST_DOMAIN}.evil.example.org", f"evil.{TRUST_DOMAIN}", "evil"):
        assert await try_award(issue(uri(f"spiffe://{domain}/action-gateway"))) == DENIED
