"""Who calls: the access token in the `Authorization` header, looked at before anything else of a request."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers
from starlette.requests import Request

from action_gateway.accounts.tokens import Access, AccessTokens
from action_gateway.errors import UnauthenticatedError
from action_gateway.moderation.moderators import Moderators
from action_gateway.request_context import note_user

_scheme = HTTPBearer(
    scheme_name="accessToken",
    bearerFormat="JWT",
    description="An access token of this gateway",
    auto_error=False,
)


async def authenticate(request: Request, _: Annotated[object, Depends(_scheme)]) -> Access:
    """Return whom the request speaks for. Raises UnauthenticatedError."""
    return identify(request.app.state.access_tokens, request.headers)


CurrentUser = Annotated[Access, Depends(authenticate)]
"""A parameter of this type makes a route want an access token. It belongs before all others."""


async def authenticate_departing(request: Request, _: Annotated[object, Depends(_scheme)]) -> Access:
    """Return whom the request speaks for, who may have left already. Raises UnauthenticatedError."""
    access_tokens: AccessTokens = request.app.state.access_tokens
    access = access_tokens.read(find_token(request.headers.getlist("authorization")))
    note_user(access.user_id)
    return access


DepartingUser = Annotated[Access, Depends(authenticate_departing)]
"""The same for a route that may be asked again by a user who has left with the first time."""


async def authenticate_moderator(request: Request, user: CurrentUser) -> Access:
    """Return which moderator the request speaks for.

    Raises UnauthenticatedError, ModeratorOnlyError, or RateLimitedError.
    """
    moderators: Moderators = request.app.state.moderators
    await moderators.admit(user.user_id)
    return user


CurrentModerator = Annotated[Access, Depends(authenticate_moderator)]
"""The same for a route for moderators."""


def identify(tokens: AccessTokens, headers: Headers) -> Access:
    """Return whom the headers of a request speak for. Raises UnauthenticatedError."""
    access = tokens.verify(find_token(headers.getlist("authorization")))
    note_user(access.user_id)
    return access


def find_token(headers: Sequence[str]) -> str:
    """Take the token out of the values of the `Authorization` header. Raises UnauthenticatedError."""
    if len(headers) != 1:
        raise UnauthenticatedError
    scheme, _, token = headers[0].partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise UnauthenticatedError
    return token.strip()
