"""Access tokens and action tokens. They differ in key folder, `typ` and `aud`."""

import uuid
from collections.abc import Container
from dataclasses import dataclass
from typing import Final

import jwt

from action_gateway.accounts.keys import KeyFolder
from action_gateway.accounts.token_kind import TokenKind, Verified, is_readable
from action_gateway.domain.action import Repeat, StartedAction
from action_gateway.domain.clock import Clock
from action_gateway.errors import BadActionTokenError, UnauthenticatedError

_LEEWAY_SECONDS: Final = 10
"""Clocks of replicas may differ by this much."""


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


class AccessTokens:
    """Makes and checks access tokens."""

    def __init__(
        self, keys: KeyFolder, *, issuer: str, lifetime: int, clock: Clock, departed: Container[str] = ()
    ) -> None:
        """Take the lifetime in seconds, and the users who have left, whose tokens count no more."""
        self._departed = departed
        self._kind = TokenKind(keys, issuer, typ="at+jwt", audience="laurel")
        self._verified = Verified[_AccessClaims](keys)
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
        self._verified = Verified[StartedAction](keys)
        self._kind = TokenKind(keys, issuer, typ="action+jwt", audience="laurel-action")

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
            raise BadActionTokenError(forged=is_readable(token)) from None
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
        return is_readable(token)
    expires_at = claims.get("exp")
    return not (isinstance(expires_at, int) and expires_at <= now)
