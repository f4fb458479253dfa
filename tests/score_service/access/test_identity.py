"""The caller's SPIFFE id: exactly one, in its strict form."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from tests.fixtures.certificates import build_certificate, certificate_with

from score_service.access.identity import is_spiffe_id, read_peer
from score_service.errors import CertificateExpiredError, IdentityMissingError

ONE = "spiffe://a/b"


def context_of(text: str) -> dict[str, list[bytes]]:
    """Make what gRPC tells of a caller, whose certificate says the same if that is possible."""
    certificate = certificate_with(*([text] if text.isascii() else []))
    return {"peer_spiffe_id": [text.encode()], "x509_pem_cert": [certificate]}


@pytest.mark.parametrize(
    "text",
    [
        "spiffe://laurel.local/gateway",
        "spiffe://laurel.local/ns/games/sa/score-backend",
        "spiffe://a/b",
        "spiffe://a/...",
        "spiffe://a/.hidden/_x-Y.z",
        "spiffe://a/" + "b" * 2036,
    ],
)
def test_a_workload_id_is_taken(text: str) -> None:
    assert is_spiffe_id(text)
    assert read_peer(context_of(text)).spiffe_id == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spiffe://",
        "spiffe://laurel.local",
        "spiffe://laurel.local/",
        "spiffe:///gateway",
        "spiffe://laurel.local/gateway/",
        "spiffe://laurel.local//gateway",
        "spiffe://laurel.local/./gateway",
        "spiffe://laurel.local/../gateway",
        "spiffe://laurel.local/gateway/..",
        "spiffe://LAUREL.local/gateway",
        "spiffe://laurel.local:443/gateway",
        "spiffe://user@laurel.local/gateway",
        "spiffe://laurel.local/gateway?x=1",
        "spiffe://laurel.local/gateway#x",
        "spiffe://laurel.local/gate%77ay",
        "spiffe://laurel.local/gateway\n",
        "spiffe://laurel.local/gateway\x00x",
        "spiffe://laurel.local/gäteway",
        "SPIFFE://laurel.local/gateway",
        "https://laurel.local/gateway",
        " spiffe://laurel.local/gateway",
        "spiffe://a/" + "b" * 2038,
    ],
)
def test_anything_else_is_no_identity(text: str) -> None:
    assert not is_spiffe_id(text)
    with pytest.raises(IdentityMissingError):
        read_peer(context_of(text))


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"peer_spiffe_id": []},
        {"peer_spiffe_id": [b"spiffe://a/b", b"spiffe://a/c"]},
        {"peer_spiffe_id": [b"spiffe://a/\xff"]},
        {"x509_common_name": [b"spiffe://a/b"], "x509_subject_alternative_name": [b"spiffe://a/b"]},
        {"peer_uri": [b"spiffe://a/b"]},
        {"x509_pem_cert": [certificate_with(ONE)]},
        {"peer_spiffe_id": [b"spiffe://a/b"], "x509_pem_cert": []},
        {"peer_spiffe_id": [b"spiffe://a/b"], "x509_pem_cert": [certificate_with(ONE)] * 2},
        {"peer_spiffe_id": [b"spiffe://a/b"], "x509_pem_cert": [b"rubbish"]},
        {"peer_spiffe_id": [b"spiffe://a/b"], "x509_pem_cert": [certificate_with()]},
        {"peer_spiffe_id": [b"spiffe://a/b"], "x509_pem_cert": [certificate_with(ONE, "spiffe://a/c")]},
        {"peer_spiffe_id": [b"spiffe://a/b"], "x509_pem_cert": [certificate_with("spiffe://a/c")]},
        {"peer_spiffe_id": [b"spiffe://a/b"], "x509_pem_cert": [certificate_with(ONE + "\x00c")]},
    ],
)
def test_none_or_several_is_no_identity(context: dict[str, list[bytes]]) -> None:
    with pytest.raises(IdentityMissingError):
        read_peer(context)


NOW = datetime(2030, 1, 1, tzinfo=UTC)


class Issuer:
    """An authority whose certificates end when a test wants."""

    def __init__(self, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])

    def sign(self, key: ec.EllipticCurvePrivateKey, subject: str, days: int, *uris: str) -> bytes:
        names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        end = NOW + timedelta(days=days)
        builder = build_certificate(
            self.name, key, names, subject=subject, is_authority=not uris, start=NOW, end=end
        )
        return builder.sign(self.key, SHA256()).public_bytes(Encoding.PEM)


def not_after_of(own: bytes, *intermediates: bytes) -> datetime:
    context = {
        "peer_spiffe_id": [ONE.encode()],
        "x509_pem_cert": [own],
        "x509_pem_cert_chain": [b"".join(intermediates)] if intermediates else [],
    }
    return datetime.fromtimestamp(read_peer(context).not_after, UTC)


def test_a_peer_ends_with_its_certificate() -> None:
    root = Issuer("root")
    assert not_after_of(root.sign(root.key, "own", 3, ONE)) == NOW + timedelta(days=3)


def test_a_peer_ends_with_an_intermediate_that_signed_its_certificate() -> None:
    root, upper, lower = Issuer("root"), Issuer("upper"), Issuer("lower")
    own = lower.sign(lower.key, "own", 3, ONE)
    chain = [upper.sign(lower.key, "lower", 2), root.sign(upper.key, "upper", 1)]
    assert not_after_of(own, *chain) == NOW + timedelta(days=1)
    assert not_after_of(own, *reversed(chain)) == NOW + timedelta(days=1)


def test_a_certificate_that_came_along_for_nothing_does_not_end_a_peer() -> None:
    root, other = Issuer("root"), Issuer("other")
    own = root.sign(root.key, "own", 3, ONE)
    assert not_after_of(own, other.sign(other.key, "other", 1)) == NOW + timedelta(days=3)


def test_of_an_intermediate_that_was_renewed_the_later_end_counts() -> None:
    root, lower = Issuer("root"), Issuer("lower")
    own = lower.sign(lower.key, "own", 5, ONE)
    old, new = (root.sign(lower.key, "lower", days) for days in (1, 9))
    assert not_after_of(own, old, new) == NOW + timedelta(days=5)


def test_a_chain_that_cannot_be_read_is_no_identity() -> None:
    root = Issuer("root")
    with pytest.raises(IdentityMissingError):
        not_after_of(root.sign(root.key, "own", 3, ONE), b"-----BEGIN CERTIFICATE-----\nAAAA\n")


def test_a_peer_is_valid_to_the_second_of_its_end() -> None:
    root = Issuer("root")
    context = {"peer_spiffe_id": [ONE.encode()], "x509_pem_cert": [root.sign(root.key, "own", 3, ONE)]}
    peer, end = read_peer(context), (NOW + timedelta(days=3)).timestamp()
    peer.require_valid(end)
    with pytest.raises(CertificateExpiredError):
        peer.require_valid(end + 1)
