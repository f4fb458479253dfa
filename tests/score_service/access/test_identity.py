"""The caller's SPIFFE id: exactly one, in its strict form."""

import pytest
from tests.fixtures.certificates import certificate_with

from score_service.access.identity import is_spiffe_id, read_spiffe_id
from score_service.errors import IdentityMissingError

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
    assert read_spiffe_id(context_of(text)) == text


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
        read_spiffe_id(context_of(text))


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
        read_spiffe_id(context)
