"""Registering, logging in and staying logged in.

A login makes a session. Its refresh token is 256 random bits and good for one use, which makes the next one.
Only hashes are kept. A token that was good before the last one and comes back was copied by someone, so the
session ends for everybody.

An answer that got lost must not log anyone out: the token just before the good one gets the good one again.
For a short while that holds for any client. After that it holds only for one with the Idempotency-Key that
came with it the first time, until the good one is used: a device may sleep for days before it asks again, and
a copy of the token comes without the key.

The good one can be given again because each token is derived from the one before it with a salt that is kept
until the next rotation: successor = HMAC-SHA256(key = token, message = salt). The salt says nothing without
the token, the token nothing without the salt. Keys are kept as HMAC-SHA256(key = token, message = key).
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from action_gateway.accounts.freed_names import FreedNames
from action_gateway.accounts.passwords import Passwords
from action_gateway.accounts.tokens import AccessTokens
from action_gateway.domain.clock import Clock
from action_gateway.errors import BadCredentialsError, BadRefreshTokenError
from action_gateway.limits.limits import Limits
from action_gateway.store.store import Store, User

_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True, repr=False)
class Login:
    """What a client gets to speak for a user."""

    user: User
    access_token: str
    refresh_token: str
    expires_in: int
    """Seconds that the access token is good for."""


class Sessions:
    """The commands around logins. Where PostgreSQL is unavailable, all of them raise UnavailableError."""

    def __init__(
        self,
        *,
        store: Store,
        passwords: Passwords,
        limits: Limits,
        access_tokens: AccessTokens,
        freed_names: FreedNames,
        clock: Clock,
        lifetime: float,
        grace: float,
    ) -> None:
        """Take the seconds that a refresh token lives, and that it still gets its successor again."""
        self._store = store
        self._passwords = passwords
        self._limits = limits
        self._access_tokens = access_tokens
        self._freed_names = freed_names
        self._clock = clock
        self._lifetime = timedelta(seconds=lifetime)
        self._grace = timedelta(seconds=grace)

    async def register(self, username: str, password: str, *, address: str) -> User:
        """Make an account.

        Raises:
            UsernameTakenError, RateLimitedError: no account was made.
        """
        await self._limits.register(address)
        return await add_user(self._store, self._passwords, self._freed_names, username, password)

    async def log_in(self, username: str, password: str, *, address: str) -> Login:
        """Begin a session.

        Raises:
            BadCredentialsError: the same, after the same time, for a user that does not exist.
            RateLimitedError: too many logins of this user from this address.
        """
        await self._limits.log_in(address, username)
        account = await self._store.find_account(username)
        verdict = await self._passwords.verify(account.password_hash if account else None, password)
        if account is None or not verdict.right:
            raise BadCredentialsError(account.user.user_id if account else None)
        if verdict.new_hash is not None:
            await self._store.replace_password_hash(
                account.user.user_id, outdated_hash=account.password_hash, password_hash=verdict.new_hash
            )
        token = secrets.token_bytes(_SECRET_BYTES)
        begun = await self._store.add_session(
            account.user.user_id, token_hash=_hash(token), expires_at=self._now() + self._lifetime
        )
        if not begun:  # The account was deleted in between.
            raise BadCredentialsError
        return self._login(account.user, token)

    async def refresh(self, refresh_token: str, idempotency_key: str | None = None) -> Login:
        """Continue a session with its next refresh token.

        The same token and key get the same one again until that is used.

        Raises:
            BadRefreshTokenError: the token is not good, and the session is over if the token was reused.
        """
        token, salt = _decode(refresh_token), secrets.token_bytes(_SECRET_BYTES)
        successor = _derive(token, salt)
        user = await self._store.rotate_session(
            token_hash=_hash(token),
            successor_hash=_hash(successor),
            successor_salt=salt,
            key_hash=_hash_key(token, idempotency_key),
            now=self._now(),
            expires_at=self._now() + self._lifetime,
        )
        return self._login(user, successor) if user else await self._repeat(token, idempotency_key)

    async def log_out(self, refresh_token: str) -> None:
        """End a session. One that is over already is no error."""
        try:
            token = _decode(refresh_token)
        except BadRefreshTokenError:
            return
        await self._store.end_session_of_token(_hash(token))

    async def _repeat(self, token: bytes, idempotency_key: str | None) -> Login:
        """Return the successor of the token just before the good one again, or end the session."""
        rotation = await self._store.find_rotation(_hash(token))
        if rotation is None or rotation.expires_at <= self._now():
            raise BadRefreshTokenError
        may_repeat = self._now() - rotation.rotated_at <= self._grace or _is_same(
            rotation.key_hash, _hash_key(token, idempotency_key)
        )
        if may_repeat and _is_same(rotation.predecessor_hash, _hash(token)):
            return self._login(rotation.user, _derive(token, rotation.successor_salt))
        await self._store.end_session(rotation.session_id)
        raise BadRefreshTokenError(reused_of=rotation.user.user_id)

    def _login(self, user: User, token: bytes) -> Login:
        return Login(
            user, self._access_tokens.issue(user.user_id), _encode(token), self._access_tokens.lifetime
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


async def add_user(
    store: Store, passwords: Passwords, freed_names: FreedNames, username: str, password: str
) -> User:
    """Make an account. Raises UsernameTakenError."""
    user = User(str(uuid.uuid4()), username)
    await store.add_account(
        user,
        await passwords.hash(password),
        name_hash=freed_names.hash(username),
        now=freed_names.now(),
    )
    return user


def _derive(token: bytes, salt: bytes) -> bytes:
    return hmac.digest(token, salt, "sha256")


def _hash(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _hash_key(token: bytes, idempotency_key: str | None) -> bytes | None:
    return None if idempotency_key is None else hmac.digest(token, idempotency_key.encode(), "sha256")


def _is_same(kept: bytes | None, given: bytes | None) -> bool:
    """Compare two hashes. One that is missing is the same as no other."""
    return kept is not None and given is not None and hmac.compare_digest(kept, given)


def _encode(token: bytes) -> str:
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    try:
        token = base64.b64decode(text.encode("ascii") + b"=", altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise BadRefreshTokenError from None
    if len(token) != _SECRET_BYTES or _encode(token) != text:
        raise BadRefreshTokenError
    return token
