"""What tells one kind of signed token from another, so that none passes for another.

All are EdDSA JWTs. The kinds differ in `typ` and `aud` (RFC 8725, 3.11 and 3.12). The algorithm is fixed,
keys are found by `kid` among those of the one issuer only, and nothing else in a header is heeded.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from action_gateway.accounts.keys import KeyFolder, SigningKey

_ALGORITHM: Final = "EdDSA"
_TIME_CLAIMS: Final = ("iat", "nbf", "exp")
_VERIFIED_MAX: Final = 10_000
"""Tokens of each kind that need not be verified again. One takes up to a kilobyte."""

_Claims = TypeVar("_Claims")


@dataclass(frozen=True, slots=True)
class TokenKind:
    """What tells one kind of token from another."""

    keys: KeyFolder
    issuer: str
    typ: str
    audience: str

    def sign(self, claims: Mapping[str, object]) -> tuple[SigningKey, str]:
        """Return a token of this kind, and the key that has signed it."""
        key = self.keys.signing_key()
        payload = {**claims, "iss": self.issuer, "aud": self.audience}
        headers = {"typ": self.typ, "kid": key.key_id}
        return key, jwt.encode(payload, key.private, algorithm=_ALGORITHM, headers=headers)

    def verify(self, token: str) -> tuple[SigningKey, dict[str, Any]]:
        """Return the claims of a token of this kind, whatever the time, and the key that has signed it.

        Raises:
            jwt.PyJWTError: it is none.
        """
        key, claims = verify_token(
            token, self.keys.find, issuer=self.issuer, typ=self.typ, audience=self.audience
        )
        if not all(isinstance(claims[name], int) for name in _TIME_CLAIMS):
            raise jwt.InvalidTokenError
        return key, claims


class VerifyingKey(Protocol):
    """A key that verifies signatures."""

    @property
    def public(self) -> Ed25519PublicKey:
        """The public half."""


_Key = TypeVar("_Key", bound=VerifyingKey)


def verify_token(
    token: str, find_key: Callable[[str], _Key | None], *, issuer: str, typ: str, audience: str
) -> tuple[_Key, dict[str, Any]]:
    """Return the claims of a token of one kind and issuer, whatever the time, and the key that has signed it.

    Raises:
        jwt.PyJWTError: it is none, or was signed by none of the keys that are found by name.
    """
    if token.endswith("="):
        # A token has one spelling, and that is the one without padding.
        raise jwt.InvalidTokenError
    header = jwt.get_unverified_header(token)
    key = find_key(header["kid"]) if isinstance(header.get("kid"), str) else None
    if key is None or header.get("typ") != typ:
        raise jwt.InvalidTokenError
    claims = jwt.decode(
        token,
        key.public,
        algorithms=[_ALGORITHM],
        audience=audience,
        issuer=issuer,
        # Times are checked against our own clock, and the expiry of an action token at its own place.
        options={
            "require": ["iss", "aud", "sub", "jti", *_TIME_CLAIMS],
            "strict_aud": True,
            "verify_exp": False,
            "verify_nbf": False,
            "verify_iat": False,
        },
    )
    return key, claims


class Verified(Generic[_Claims]):
    """What tokens say whose signatures were verified, or made, here. Bounded; the oldest are forgotten."""

    def __init__(self, keys: KeyFolder) -> None:
        self._keys = keys
        self._known = OrderedDict[str, tuple[SigningKey, _Claims]]()

    def find(self, token: str) -> _Claims | None:
        """Return what a token says; None if it is not known, or its key is not ours any more."""
        found = self._known.get(token)
        return found[1] if found and self._keys.find(found[0].key_id) is found[0] else None

    def keep(self, token: str, key: SigningKey, claims: _Claims) -> None:
        """Keep what a token says, and the key that has signed it."""
        self._known[token] = (key, claims)
        if len(self._known) > _VERIFIED_MAX:
            self._known.popitem(last=False)


def is_readable(token: str) -> bool:
    """Return whether the text has the form of a signed token at all."""
    try:
        jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError):
        return False
    return True
