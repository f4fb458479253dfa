"""A certificate that is renewed: when the new one takes the place of the old one."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from tests.fixtures.certificates import build_certificate

from service_runtime.tls.tls_files import Authorities, KeyPair, TlsFiles

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DELAY = timedelta(minutes=5)
KEY = ec.generate_private_key(ec.SECP256R1())
OLD_TRUST, NEW_TRUST = Authorities((), b"old"), Authorities((), b"new")


def files(*, starts: timedelta, ends: timedelta, trust: Authorities = OLD_TRUST) -> TlsFiles:
    """Make files whose certificate begins and ends so long after now."""
    builder = build_certificate(x509.Name([]), KEY, (), start=NOW + starts, end=NOW + ends)
    return TlsFiles.of(KeyPair((builder.sign(KEY, SHA256()),), b"certificate", b"key"), trust)


HOUR = timedelta(hours=1)
USED = files(starts=-HOUR, ends=HOUR)


@pytest.mark.parametrize(
    ("starts", "is_used"),
    [
        (timedelta(0), False),
        (-DELAY + timedelta(seconds=1), False),
        (-DELAY, True),
        (-HOUR, True),
    ],
)
def test_a_renewed_certificate_is_used_once_it_has_been_valid_for_the_delay(
    starts: timedelta, *, is_used: bool
) -> None:
    renewed = files(starts=starts, ends=2 * HOUR)
    assert (USED.followed_by(renewed, DELAY, NOW) is renewed) == is_used
    assert USED.activation_of(renewed, DELAY) == NOW + starts + DELAY


@pytest.mark.parametrize("left", [DELAY, timedelta(seconds=1), -HOUR])
def test_a_renewed_certificate_is_used_at_once_where_little_is_left_of_the_old_one(left: timedelta) -> None:
    used, renewed = files(starts=-2 * HOUR, ends=left), files(starts=timedelta(0), ends=HOUR)
    assert used.followed_by(renewed, DELAY, NOW) is renewed


def test_without_a_delay_a_renewed_certificate_is_used_at_once() -> None:
    renewed = files(starts=timedelta(0), ends=2 * HOUR)
    assert USED.followed_by(renewed, timedelta(0), NOW) is renewed


def test_changed_authorities_are_used_at_once_with_the_old_certificate() -> None:
    renewed = files(starts=timedelta(0), ends=2 * HOUR, trust=NEW_TRUST)
    mixed = USED.followed_by(renewed, DELAY, NOW)
    assert (mixed.pair, mixed.authorities) == (USED.pair, NEW_TRUST)
    assert mixed.followed_by(renewed, DELAY, NOW) is mixed
    assert mixed.followed_by(renewed, DELAY, NOW + DELAY) is renewed


def test_no_key_is_shown() -> None:
    assert repr(USED.pair.key_pem) not in repr(USED)
