"""A user of the gateway: registers, logs in, and always has an access token for its clients."""

import asyncio
import math
import time
from typing import Final

from faults.players.gateway_client import Answer, GatewayClient, NotNowError

_PASSWORD: Final = "correct horse battery"  # noqa: S105 - Of users that live as long as the run.
_OK, _CREATED, _UNAUTHORIZED, _CONFLICT, _TOO_MANY = 200, 201, 401, 409, 429
_RENEW_AT: Final = 0.8
"""How much of its life an access token is used for."""


class Account:
    """One user, whose session may be used by many tasks.

    Where the gateway's database is restored to before the user came, the name registers anew, with a new id.
    """

    def __init__(self, gateway: GatewayClient, username: str, *, is_careless: bool = False) -> None:
        """A careless user uses an access token until the gateway rejects it."""
        self.username = username
        self._is_careless = is_careless
        self.user_id: str | None = None
        """None before the first login."""
        self._gateway = gateway
        self._access_token = ""
        self._refresh_token = ""
        self._renew_at = 0.0
        self._renewing = asyncio.Lock()

    async def token(self) -> str:
        """Return an access token that should be good.

        Raises:
            NotNowError: There is none, and now none is to be had.
        """
        async with self._renewing:
            if not self._access_token or time.monotonic() >= self._renew_at:
                await self._renew()
            return self._access_token

    def reject(self, token: str) -> None:
        """Note that an access token is not good any more."""
        if token == self._access_token:
            self._access_token = ""

    async def _renew(self) -> None:
        if not (self._refresh_token and await self._refresh()) and not await self._log_in():
            await self._register()
            await self._log_in()

    async def _refresh(self) -> bool:
        # If its answer is lost, the token may be used up, and the next one is to be had by a login only.
        token, self._refresh_token = self._refresh_token, ""
        return self._enter(await self._gateway.post("/auth/refresh", {"refreshToken": token}))

    async def _log_in(self) -> bool:
        return self._enter(await self._gateway.post("/auth/login", self._credentials))

    async def _register(self) -> None:
        answer = await self._gateway.post("/auth/register", self._credentials)
        # The name is taken where the answer to the last try was lost.
        if answer.status not in {_CREATED, _CONFLICT}:
            raise _failure(answer)

    def _enter(self, answer: Answer) -> bool:
        if answer.status == _UNAUTHORIZED:
            return False
        if answer.status != _OK:
            raise _failure(answer)
        session = answer.body
        self._access_token, self._refresh_token = session["accessToken"], session["refreshToken"]
        lifetime = math.inf if self._is_careless else session["expiresIn"] * _RENEW_AT
        self._renew_at = time.monotonic() + lifetime
        self.user_id = session["user"]["userId"]
        return True

    @property
    def _credentials(self) -> dict[str, str]:
        return {"username": self.username, "password": _PASSWORD}


def _failure(answer: Answer) -> Exception:
    if answer.status == _TOO_MANY:
        return NotNowError(answer.code, answer.retry_after)
    return answer.unexpected()
