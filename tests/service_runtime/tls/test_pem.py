"""What is read from PEM, and until when the authorities hold that the holder of a certificate needs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from tests.fixtures.certificates import with_unknown_version

from local_stack.certificates import CertificateAuthority
from service_runtime.tls.pem import (
    Chain,
    end_of_authorities,
    find_signers,
    parse_certificates,
    parse_key,
    read_unchanged,
)

NOW = datetime.now(UTC)
LIFETIME = timedelta(days=3650)


@pytest.fixture
def old(tmp_path: Path) -> CertificateAuthority:
    """Return an authority that ends tomorrow."""
    return CertificateAuthority.open(tmp_path / "old", now=NOW - LIFETIME + timedelta(days=1))


@pytest.fixture
def new(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority.open(tmp_path / "new", now=NOW)


def chain_of(authority: CertificateAuthority) -> Chain:
    return parse_certificates(authority.issue("server").certificate_file.read_bytes())


def ends_of(*authorities: CertificateAuthority, chain: Chain, now: datetime = NOW) -> datetime:
    return needed_until([authority.certificate for authority in authorities], chain, now)


def needed_until(authorities: Chain, chain: Chain, now: datetime = NOW) -> datetime:
    return end_of_authorities(authorities, find_signers(authorities, chain), now)


def end_of(authority: CertificateAuthority) -> datetime:
    return authority.certificate.not_valid_after_utc


def test_the_authority_that_signed_the_own_chain_is_the_one_that_is_needed(
    old: CertificateAuthority, new: CertificateAuthority
) -> None:
    assert ends_of(old, new, chain=chain_of(old)) == end_of(old)
    assert ends_of(old, new, chain=chain_of(new)) == end_of(new)


def test_an_old_authority_that_ended_beside_its_successor_does_not_count(
    old: CertificateAuthority, new: CertificateAuthority
) -> None:
    later = NOW + timedelta(days=2)
    assert ends_of(old, new, chain=chain_of(new), now=later) == end_of(new)


def test_where_none_signed_the_own_chain_the_first_to_end_of_those_that_hold_counts(
    old: CertificateAuthority, new: CertificateAuthority, authority: CertificateAuthority
) -> None:
    chain = chain_of(authority)
    assert ends_of(old, new, chain=chain) == end_of(old)
    assert ends_of(old, new, chain=chain, now=NOW + timedelta(days=2)) == end_of(new)
    assert ends_of(old, new, chain=chain, now=NOW + 2 * LIFETIME) == end_of(new)


def test_of_two_certificates_of_one_authority_the_later_counts(new: CertificateAuthority) -> None:
    chain = chain_of(new)
    renewed = _renew(new, NOW + timedelta(days=30))
    assert needed_until([renewed, new.certificate], chain) == end_of(new)
    assert needed_until([renewed], chain) == renewed.not_valid_after_utc


def _renew(authority: CertificateAuthority, end: datetime) -> x509.Certificate:
    certificate = authority.certificate
    builder = x509.CertificateBuilder(
        certificate.issuer,
        certificate.subject,
        certificate.public_key(),
        x509.random_serial_number(),
        certificate.not_valid_before_utc,
        end,
    )
    return builder.sign(authority.key, hashes.SHA256())


@pytest.mark.parametrize("pem", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_what_is_no_certificate_is_reported(pem: bytes) -> None:
    with pytest.raises(ValueError, match=r"^is not a certificate in PEM$"):
        parse_certificates(pem)


def test_a_certificate_of_no_known_version_is_none(new: CertificateAuthority) -> None:
    with pytest.raises(ValueError, match="is not a certificate in PEM"):
        parse_certificates(with_unknown_version(new.certificate))


@pytest.mark.parametrize("kept", [0.6, 0.9])
def test_a_bundle_that_is_cut_off_is_no_bundle(
    old: CertificateAuthority, new: CertificateAuthority, kept: float
) -> None:
    bundle = old.ca_file.read_bytes() + new.ca_file.read_bytes()
    with pytest.raises(ValueError, match=r"^is cut off$"):
        parse_certificates(bundle[: int(len(bundle) * kept)])


@pytest.mark.parametrize("pem", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_what_is_no_key_is_reported(pem: bytes) -> None:
    with pytest.raises(ValueError, match=r"^is not a private key in PEM, or is encrypted$"):
        parse_key(pem)


def test_files_that_change_while_they_are_read_are_read_again() -> None:
    states = iter([1, 2, 3, 3])
    assert read_unchanged(lambda: next(states), lambda: "read") == (3, "read")


def test_files_that_change_each_time_are_no_set() -> None:
    states = iter(range(100))
    assert read_unchanged(lambda: next(states), lambda: "read") is None
