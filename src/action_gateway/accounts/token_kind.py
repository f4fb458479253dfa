"""What tells one kind of signed token from another, so that none passes for another.

All are EdDSA JWTs. The kinds differ in `typ` and `aud` (RFC 8725, 3.11 and 3.12). The algorithm is fixed,
keys are found by `kid` among our own only, and nothing else in a header is heeded.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import jwt

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
        if token.endswith("="):
            # A token has one spelling, and that is the one without padding.
            raise jwt.InvalidTokenError
        header = jwt.get_unverified_header(token)
        key = self.keys.find(header["kid"]) if isinstance(header.get("kid"), str) else None
        if key is None or header.get("typ") != self.typ:
            raise jwt.InvalidTokenError
        claims = jwt.decode(
            token,
            key.public,
            algorithms=[_ALGORITHM],
            audience=self.audience,
            issuer=self.issuer,
            # Times are checked against our own clock, and the expiry of an action token at its own place.
            options={
                "require": ["iss", "aud", "sub", "jti", *_TIME_CLAIMS],
                "strict_aud": True,
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
        if not all(isinstance(claims[name], int) for name in _TIME_CLAIMS):
            raise jwt.InvalidTokenError
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
