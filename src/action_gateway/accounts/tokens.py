"""The two kinds of signed token: access tokens and action tokens.

Both are EdDSA JWTs. They differ in key folder, `typ` and `aud`, so that neither passes for the other. The
algorithm is fixed, keys are found by `kid` among our own only, and nothing else in a header is heeded.
"""

import uuid
from collections import OrderedDict
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import jwt

from action_gateway.accounts.keys import KeyFolder, SigningKey
from action_gateway.domain.action import Repeat, StartedAction
from action_gateway.domain.clock import Clock
from action_gateway.errors import BadActionTokenError, UnauthenticatedError

_ALGORITHM: Final = "EdDSA"
_LEEWAY_SECONDS: Final = 10
"""Clocks of replicas may differ by this much."""
_TIME_CLAIMS: Final = ("iat", "nbf", "exp")
_VERIFIED_MAX: Final = 10_000
"""Tokens of each kind that need not be verified again. One takes up to a kilobyte."""

_Claims = TypeVar("_Claims")


@dataclass(frozen=True, slots=True)
class Access:
    """Who an access token speaks for, and until when."""

    user_id: str
    expires_at: int
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class _AccessClaims:
    """What an access token says."""

    access: Access
    begins_at: int
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class _Kind:
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


class _Verified(Generic[_Claims]):
    """What tokens say whose signatures were verified, or made, here. Bounded; the oldest are forgotten."""

    def __init__(self, keys: KeyFolder) -> None:
        self._keys = keys
        self._known = OrderedDict[str, tuple[SigningKey, _Claims]]()

    def find(self, token: str) -> _Claims | None:
        """Return what a token says; None if it is not known, or its key is not ours any more."""
        found = self._known.get(token)
        return found[1] if found and self._keys.find(found[0].key_id) is found[0] else None

    def keep(self, token: str, key: SigningKey, claims: _Claims) -> None:
        self._known[token] = (key, claims)
        if len(self._known) > _VERIFIED_MAX:
            self._known.popitem(last=False)


class AccessTokens:
    """Makes and checks access tokens."""

    def __init__(
        self, keys: KeyFolder, *, issuer: str, lifetime: int, clock: Clock, departed: Container[str] = ()
    ) -> None:
        """Take the lifetime in seconds, and the users who have left, whose tokens count no more."""
        self._departed = departed
        self._kind = _Kind(keys, issuer, typ="at+jwt", audience="laurel")
        self._verified = _Verified[_AccessClaims](keys)
        self._clock = clock
        self.lifetime = lifetime

    def issue(self, user_id: str) -> str:
        """Make a token for a user, good from now on."""
        now = int(self._clock())
        _, token = self._kind.sign(
            {"sub": user_id, "jti": str(uuid.uuid4()), "iat": now, "nbf": now, "exp": now + self.lifetime}
        )
        return token

    def verify(self, token: str) -> Access:
        """Return whom a token speaks for.

        Raises:
            UnauthenticatedError: it is no access token of ours, its time is over or has not come, or its user
                has left.
        """
        access = self.read(token)
        if access.user_id in self._departed:
            raise UnauthenticatedError
        return access

    def read(self, token: str) -> Access:
        """Return whom a token speaks for, who may have left. Raises UnauthenticatedError."""
        claims = self._verified.find(token) or self._verify(token)
        now = self._clock()
        if claims.access.expires_at <= now or claims.begins_at > now + _LEEWAY_SECONDS:
            raise UnauthenticatedError
        return claims.access

    def _verify(self, token: str) -> "_AccessClaims":
        try:
            key, claims = self._kind.verify(token)
        except (jwt.PyJWTError, ValueError):
            raise UnauthenticatedError(forged=_is_forged(token, self._clock())) from None
        access = _AccessClaims(Access(claims["sub"], claims["exp"]), max(claims["nbf"], claims["iat"]))
        self._verified.keep(token, key, access)
        return access


class ActionTokens:
    """Makes and checks action tokens."""

    def __init__(self, keys: KeyFolder, *, issuer: str) -> None:
        """Take the keys and the name of the issuer."""
        self._verified = _Verified[StartedAction](keys)
        self._kind = _Kind(keys, issuer, typ="action+jwt", audience="laurel-action")

    def issue(self, started: StartedAction) -> str:
        """Write down that an action was started."""
        issued_at = started.started_at_ms // 1000
        key, token = self._kind.sign(
            {
                "sub": started.user_id,
                "actionId": started.action_id,
                "version": started.version,
                "board": started.board_id,
                "points": started.points,
                "repeat": started.repeat.value,
                "minMs": started.min_ms,
                "jti": str(started.nonce),
                "startedAtMs": started.started_at_ms,
                "iat": issued_at,
                "nbf": issued_at,
                "exp": started.expires_at,
                **({"day": started.day} if started.day else {}),
            }
        )
        self._verified.keep(token, key, started)
        return token

    def verify(self, token: str) -> StartedAction:
        """Read what was started. The time of the token may be over.

        Raises:
            BadActionTokenError: it is no action token of ours.
        """
        return self._verified.find(token) or self._verify(token)

    def _verify(self, token: str) -> StartedAction:
        try:
            _, claims = self._kind.verify(token)
        except (jwt.PyJWTError, ValueError):
            raise BadActionTokenError(forged=_is_readable(token)) from None
        try:
            return StartedAction(
                user_id=claims["sub"],
                action_id=claims["actionId"],
                version=claims["version"],
                board_id=claims["board"],
                points=claims["points"],
                repeat=Repeat(claims["repeat"]),
                min_ms=claims["minMs"],
                nonce=uuid.UUID(claims["jti"]),
                started_at_ms=claims["startedAtMs"],
                expires_at=claims["exp"],
                day=str(claims.get("day", "")),
            )
        except (KeyError, ValueError):
            raise BadActionTokenError from None


def _is_forged(token: str, now: float) -> bool:
    """Return whether an access token that does not verify may have been made to pass.

    One that says itself that it has expired was not: it is ours, of a key that has gone since.
    """
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError):
        return _is_readable(token)
    expires_at = claims.get("exp")
    return not (isinstance(expires_at, int) and expires_at <= now)


def _is_readable(token: str) -> bool:
    """Return whether the text has the form of a signed token at all."""
    try:
        jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError):
        return False
    return True
