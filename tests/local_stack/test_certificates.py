"""Certificates of the development authority, as a TLS library sees them."""

import socket
import ssl
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from tests.fixtures.certificates import BACKEND_ID, GATEWAY_ID, SERVICE_ID

from local_stack.certificates import CertificateAuthority, CertificateFiles


def _context(files: CertificateFiles, protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(files.ca_file)
    context.load_cert_chain(files.certificate_file, files.key_file)
    return context


def _handshake(server: CertificateFiles, client: CertificateFiles, name: str = "localhost") -> None:
    """Shake hands like the services do; raise what the end that rejects raises."""
    ends = socket.socketpair()
    server_context = _context(server, ssl.PROTOCOL_TLS_SERVER)
    client_context = _context(client, ssl.PROTOCOL_TLS_CLIENT)
    with ThreadPoolExecutor(1) as pool, ends[0] as server_end, ends[1] as client_end:
        accepted = pool.submit(_serve, server_context, server_end)
        with client_context.wrap_socket(client_end, server_hostname=name) as connection:
            connection.recv(1)
        accepted.result()


def _serve(context: ssl.SSLContext, end: socket.socket) -> None:
    with context.wrap_socket(end, server_side=True) as connection:
        connection.send(b"!")


def _load(files: CertificateFiles) -> x509.Certificate:
    return x509.load_pem_x509_certificate(files.certificate_file.read_bytes())


def _uris(files: CertificateFiles) -> list[str]:
    names = _load(files).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.UniformResourceIdentifier)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_service_and_gateway_shake_hands(
    server_certificate: CertificateFiles, gateway_certificate: CertificateFiles, name: str
) -> None:
    _handshake(server_certificate, gateway_certificate, name)


def test_a_server_is_rejected_under_a_name_it_does_not_have(
    server_certificate: CertificateFiles, gateway_certificate: CertificateFiles
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        _handshake(server_certificate, gateway_certificate, "elsewhere")


def test_a_certificate_of_another_authority_is_rejected(
    server_certificate: CertificateFiles, foreign_authority: CertificateAuthority
) -> None:
    client = foreign_authority.issue("impostor", uris=[GATEWAY_ID])
    trusting = CertificateFiles(server_certificate.ca_file, client.certificate_file, client.key_file)
    with pytest.raises(ssl.SSLError):
        _handshake(server_certificate, trusting)


@pytest.mark.parametrize(
    "not_before",
    [datetime.now(UTC) - timedelta(days=2), datetime.now(UTC) + timedelta(days=2)],
    ids=["expired", "not valid yet"],
)
def test_a_certificate_out_of_its_time_is_rejected(
    server_certificate: CertificateFiles, authority: CertificateAuthority, not_before: datetime
) -> None:
    client = authority.issue(
        "untimely", uris=[GATEWAY_ID], not_before=not_before, valid_for=timedelta(days=1)
    )
    with pytest.raises(ssl.SSLError):
        _handshake(server_certificate, client)


def test_identities_are_spiffe_uris(
    server_certificate: CertificateFiles,
    gateway_certificate: CertificateFiles,
    backend_certificate: CertificateFiles,
) -> None:
    assert _uris(server_certificate) == [SERVICE_ID]
    assert _uris(gateway_certificate) == [GATEWAY_ID]
    assert _uris(backend_certificate) == [BACKEND_ID]


def test_a_certificate_can_have_several_uris_or_none(authority: CertificateAuthority) -> None:
    several = authority.issue("several", uris=[GATEWAY_ID, BACKEND_ID])
    none = authority.issue("none", dns=["localhost"])
    assert _uris(several) == [GATEWAY_ID, BACKEND_ID]
    assert _uris(none) == []


def test_keys_are_p256_and_only_their_owner_can_read_them(
    authority: CertificateAuthority, gateway_certificate: CertificateFiles
) -> None:
    key = _load(gateway_certificate).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    for path in (gateway_certificate.key_file, authority.folder / "ca-key.pem"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_certificate_cannot_sign_others(gateway_certificate: CertificateFiles) -> None:
    extensions = _load(gateway_certificate).extensions
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


def test_an_authority_opened_again_is_the_same(tmp_path: Path, server_certificate: CertificateFiles) -> None:
    first = CertificateAuthority.open(tmp_path).issue("early", dns=["localhost"])
    second = CertificateAuthority.open(tmp_path).issue("late")
    _handshake(first, second)


def test_issuing_a_name_again_replaces_its_files(tmp_path: Path) -> None:
    authority = CertificateAuthority.open(tmp_path)
    first = _load(authority.issue("same"))
    second = _load(authority.issue("same"))
    assert first.serial_number != second.serial_number
