"""Certificates as they are issued again, also by another authority."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from faults.cluster.certificates import SERVER_NAME, Certificates, Holder
from score_client import ClientCredentials


def read(path: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(path.read_bytes())


def is_trusted(certificates: Certificates, name: str) -> list[bool]:
    """Return for each authority that a holder trusts whether it has signed the holder's certificate."""
    files = certificates.files(name)
    (own,) = read(files.certificate_file)
    trusted = []
    for authority in read(files.ca_file):
        try:
            own.verify_directly_issued_by(authority)
        except InvalidSignature:
            trusted.append(False)
        else:
            trusted.append(True)
    return trusted


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path, [Holder("server", serves=True), Holder("backend")])


def test_holders_have_their_identity_and_servers_their_name(certificates: Certificates) -> None:
    (own,) = read(certificates.files("server").certificate_file)
    names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://laurel.local/server"]
    assert names.get_values_for_type(x509.DNSName) == [SERVER_NAME]
    (own,) = read(certificates.files("backend").certificate_file)
    names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == []


def test_a_new_issue_is_another_certificate_at_the_same_place(certificates: Certificates) -> None:
    files = certificates.files("backend")
    credentials = ClientCredentials(files.ca_file, files.certificate_file, files.key_file)
    before, fingerprint = read(files.certificate_file), credentials.fingerprint()
    certificates.reissue()
    assert read(files.certificate_file) != before
    assert credentials.fingerprint() != fingerprint
    credentials.load()
    assert is_trusted(certificates, "backend") == [True]


def test_an_authority_is_replaced_so_that_all_trust_each_other_at_every_step(
    certificates: Certificates,
) -> None:
    rotation = certificates.rotate()
    rotation.trust_both()
    assert is_trusted(certificates, "backend") == [True, False]
    rotation.issue_by_new()
    assert is_trusted(certificates, "backend") == [False, True]
    rotation.distrust_old()
    assert is_trusted(certificates, "backend") == [True]
    assert read(certificates.files("server").ca_file) == [rotation.new.certificate]
    certificates.reissue()
    assert is_trusted(certificates, "server") == [True]
