"""Whether a chain of certificates leads to an authority that is trusted, and where it breaks if not. Pure.

`cryptography` decides. It is asked about the chain alone, without its rules for certificates of web sites:
what those demand beyond it (such as an authority key identifier), gRPC does not. Where it says no, its words
are for programmers, so the chain is followed once more to find what broke.
"""

from datetime import datetime

from cryptography import x509
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from score_service.certificates.certificate import FIT_KEYS, describe_key, holds, is_authority, is_fit
from score_service.certificates.phrases import plain
from service_runtime.tls.pem import Chain, find_path, is_signed_by


def find_authority(chain: Chain, authorities: Chain, now: datetime) -> x509.Certificate:
    """Return which of the authorities a chain leads to.

    Raises:
        ValueError: none; it says why.
    """
    own, *between = chain
    any_extensions = ExtensionPolicy.permit_all()
    builder = PolicyBuilder().store(Store(list(authorities))).time(_time_of(own, now))
    builder = builder.extension_policies(
        ca_policy=any_extensions.require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None),
        ee_policy=any_extensions.may_be_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None),
    )
    try:
        return builder.build_client_verifier().verify(own, between).chain[-1]
    except x509.UnsupportedGeneralNameType:
        raise ValueError("has a name of a kind that cannot be read") from None
    except VerificationError as error:
        broken = _find_break(own, between, authorities, now)
        raise ValueError(broken or f"leads to no authority: {plain(str(error))}") from None


def _time_of(own: x509.Certificate, now: datetime) -> datetime:
    """Choose a time at which the certificate itself holds: whether it does now is another question."""
    return min(max(now, own.not_valid_before_utc), own.not_valid_after_utc)


def _find_break(own: x509.Certificate, between: Chain, authorities: Chain, now: datetime) -> str | None:
    last = find_path(own, between)[-1]
    name = plain(last.issuer.rfc4514_string())
    named = [authority for authority in authorities if authority.subject == last.issuer]
    if not named:
        return f"leads to {name}, which is not among the authorities"
    signers = [authority for authority in named if is_signed_by(last, authority)]
    if not signers:
        return f"leads to {name}; the authority of that name has another key than the one that signed"
    faults = [_find_fault(authority, now) for authority in signers]
    return f"leads to {name}, which {faults[0]}" if all(faults) else None


def _find_fault(authority: x509.Certificate, now: datetime) -> str | None:
    if not is_authority(authority):
        return "is no authority: it lacks the CA flag"
    if not holds(authority, now):
        return "does not hold now"
    if not is_fit(key := authority.public_key()):
        return f"has a key that is {describe_key(key)}: {FIT_KEYS} is needed"
    return None
