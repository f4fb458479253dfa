"""The routes of logins."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request

from action_gateway import errors
from action_gateway.accounts.sessions import Login, Sessions
from action_gateway.edge.operations import IdempotencyKey, add_operation, body_of, find_address
from action_gateway.routes import schemas
from action_gateway.routes.rejections import BUSY
from action_gateway.store.store import User

RegistrationBody = Annotated[schemas.Registration, Depends(body_of(schemas.Registration))]
CredentialsBody = Annotated[schemas.Credentials, Depends(body_of(schemas.Credentials))]
RefreshTokenBody = Annotated[schemas.RefreshToken, Depends(body_of(schemas.RefreshToken))]


class SessionRoutes:
    """The routes under `/auth`. They are the doors, so none of them wants an access token."""

    def __init__(self, sessions: Sessions, *, registration_enabled: bool) -> None:
        self._sessions = sessions
        self._registration_enabled = registration_enabled

    def router(self) -> APIRouter:
        """Return the routes, relative to the prefix of the API."""
        router = APIRouter(prefix="/auth", tags=["sessions"])
        add_operation(
            router,
            "/register",
            self.register,
            schemas.Registration,
            (errors.RegistrationClosedError, errors.UsernameTakenError, *BUSY),
            status_code=201,
        )
        add_operation(router, "/login", self.log_in, schemas.Credentials, (errors.BadCredentialsError, *BUSY))
        rejections = (errors.BadRefreshTokenError, errors.UnavailableError)
        add_operation(router, "/refresh", self.refresh, schemas.RefreshToken, rejections)
        add_operation(
            router,
            "/logout",
            self.log_out,
            schemas.RefreshToken,
            (errors.UnavailableError,),
            status_code=204,
        )
        return router

    async def register(self, request: Request, body: RegistrationBody) -> schemas.Registered:
        """Make an account."""
        if not self._registration_enabled:
            raise errors.RegistrationClosedError
        user = await self._sessions.register(body.username, body.password, address=find_address(request))
        return schemas.Registered(user=_user(user))

    async def log_in(self, request: Request, body: CredentialsBody) -> schemas.LoggedIn:
        """Log in, which begins a session."""
        return _logged_in(
            await self._sessions.log_in(body.username, body.password, address=find_address(request))
        )

    async def refresh(
        self, body: RefreshTokenBody, idempotency_key: IdempotencyKey = None
    ) -> schemas.LoggedIn:
        """Continue a session. Each refresh token is good once; an older one coming back ends the session.

        A token whose answer got lost is sent again with the same key.
        """
        return _logged_in(await self._sessions.refresh(body.refresh_token, idempotency_key))

    async def log_out(self, body: RefreshTokenBody) -> None:
        """End a session."""
        await self._sessions.log_out(body.refresh_token)


def _user(user: User) -> schemas.User:
    return schemas.User(user_id=user.user_id, username=user.username)


def _logged_in(login: Login) -> schemas.LoggedIn:
    return schemas.LoggedIn(
        access_token=login.access_token,
        refresh_token=login.refresh_token,
        expires_in=login.expires_in,
        user=_user(login.user),
    )
