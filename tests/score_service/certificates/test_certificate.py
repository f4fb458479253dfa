"""What keeps a certificate from being used."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tests.fixtures.certificates import PrivateKey, build_certificate

from local_stack.certificates import CertificateAuthority
from score_service.certificates.certificate import find_faults


@pytest.fixture
def new(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority.open(tmp_path / "new", now=datetime.now(UTC))


def test_what_grpc_would_fail_every_handshake_with_is_a_fault(new: CertificateAuthority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())

    def faults(key: PrivateKey = key, *, is_authority: bool = False, signs: bool = True) -> list[str]:
        builder = build_certificate(new.certificate.subject, key, (), is_authority=is_authority)
        usage = x509.KeyUsage(signs, False, True, False, True, False, False, False, False)
        return list(find_faults(builder.add_extension(usage, critical=True).sign(new.key, hashes.SHA256())))

    assert faults() == []
    assert faults(ec.generate_private_key(ec.SECP384R1())) == []
    assert faults(rsa.generate_private_key(65537, 2048)) == []
    assert [fault.partition(":")[0] for fault in faults(ec.generate_private_key(ec.SECP521R1()))] == [
        "has a key that is ECDSA on secp521r1"
    ]
    assert faults(signs=False) == ["has a key usage without digitalSignature"]
    assert faults(is_authority=True) == []  # As `openssl req -x509` makes it, and gRPC takes it.
