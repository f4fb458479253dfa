"""The routes of logins and actions: from JSON to commands and back."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel
from starlette.requests import Request

from action_gateway import errors
from action_gateway.accounts.sessions import Login, Sessions
from action_gateway.actions.actions import Actions, Answer
from action_gateway.edge import schemas
from action_gateway.edge.authentication import CurrentUser
from action_gateway.edge.operations import FAILURES, IdempotencyKey, Operation, body_of, describe_body
from action_gateway.edge.problems import describe
from action_gateway.store.store import OfferedAction, User

RegistrationBody = Annotated[schemas.Registration, Depends(body_of(schemas.Registration))]
CredentialsBody = Annotated[schemas.Credentials, Depends(body_of(schemas.Credentials))]
RefreshTokenBody = Annotated[schemas.RefreshToken, Depends(body_of(schemas.RefreshToken))]
StartBody = Annotated[schemas.Start, Depends(body_of(schemas.Start))]
CompletionBody = Annotated[schemas.Completion, Depends(body_of(schemas.Completion))]

_BUSY = (errors.RateLimitedError, errors.UnavailableError)


class SessionRoutes:
    """The routes under `/auth`. They are the doors, so none of them wants an access token."""

    def __init__(self, sessions: Sessions, *, registration_enabled: bool) -> None:
        self._sessions = sessions
        self._registration_enabled = registration_enabled

    def router(self) -> APIRouter:
        """Return the routes, relative to the prefix of the API."""
        router = APIRouter(prefix="/auth", tags=["sessions"])
        _add_post(
            router,
            "/register",
            self.register,
            schemas.Registration,
            (errors.RegistrationClosedError, errors.UsernameTakenError, *_BUSY),
            status_code=201,
        )
        _add_post(router, "/login", self.log_in, schemas.Credentials, (errors.BadCredentialsError, *_BUSY))
        rejections = (errors.BadRefreshTokenError, errors.UnavailableError)
        _add_post(router, "/refresh", self.refresh, schemas.RefreshToken, rejections)
        _add_post(
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
        user = await self._sessions.register(body.username, body.password, address=_address(request))
        return schemas.Registered(user=_user(user))

    async def log_in(self, request: Request, body: CredentialsBody) -> schemas.LoggedIn:
        """Log in, which begins a session."""
        return _logged_in(
            await self._sessions.log_in(body.username, body.password, address=_address(request))
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


class ActionRoutes:
    """The routes under `/actions`."""

    def __init__(self, actions: Actions) -> None:
        self._actions = actions

    def router(self) -> APIRouter:
        """Return the routes, relative to the prefix of the API."""
        router = APIRouter(prefix="/actions", tags=["actions"])
        rejections = describe([errors.UnauthenticatedError, *_BUSY])
        router.add_api_route("", self.list_actions, methods=["GET"], responses=rejections)
        _add_post(
            router,
            "/start",
            self.start_action,
            schemas.Start,
            (errors.UnauthenticatedError, errors.ActionNotFoundError, errors.ActionCompletedError, *_BUSY),
        )
        _add_post(
            router,
            "/complete",
            self.complete_action,
            schemas.Completion,
            (
                errors.UnauthenticatedError,
                errors.BadActionTokenError,
                errors.ActionTokenForeignError,
                errors.ActionTokenExpiredError,
                errors.ActionTokenUsedError,
                errors.ActionCompletedError,
                errors.ActionTokenSpentError,
                errors.TooFastError,
                errors.WrongAnswerError,
                errors.ScoreLimitError,
                *_BUSY,
            ),
        )
        return router

    def direct_calls(self) -> dict[str, Operation]:
        """Return the operations that are called most, by path relative to the prefix of the API."""
        return {
            "/actions/start": Operation(self.start_action, schemas.Start),
            "/actions/complete": Operation(self.complete_action, schemas.Completion, takes_key=True),
        }

    async def list_actions(self, user: CurrentUser) -> schemas.ActionList:
        """List the actions."""
        listed = await self._actions.list_actions(user.user_id)
        return schemas.ActionList(
            actions=[_listed(action, completed=completed) for action, completed in listed]
        )

    async def start_action(self, user: CurrentUser, body: StartBody) -> schemas.Started:
        """Start an action."""
        start = await self._actions.start(user.user_id, body.action_id)
        return schemas.Started(
            action_token=start.token, expires_at=start.expires_at, action_details=_details(start.action)
        )

    async def complete_action(
        self, user: CurrentUser, body: CompletionBody, idempotency_key: IdempotencyKey = None
    ) -> schemas.Completed:
        """Complete an action, which pays its points once."""
        given = Answer(user.user_id, body.action_token, body.proof.answer, idempotency_key)
        payment = await self._actions.complete(given)
        return schemas.Completed(**dict(payment))


def _add_post(
    router: APIRouter,
    path: str,
    endpoint: Callable[..., Any],
    body: type[BaseModel],
    rejections: tuple[type[errors.GatewayError], ...],
    *,
    status_code: int = 200,
) -> None:
    router.add_api_route(
        path,
        endpoint,
        methods=["POST"],
        status_code=status_code,
        openapi_extra=describe_body(body),
        responses=describe([*FAILURES, *rejections]),
    )


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _user(user: User) -> schemas.User:
    return schemas.User(user_id=user.user_id, username=user.username)


def _logged_in(login: Login) -> schemas.LoggedIn:
    return schemas.LoggedIn(
        access_token=login.access_token,
        refresh_token=login.refresh_token,
        expires_in=login.expires_in,
        user=_user(login.user),
    )


def _listed(action: OfferedAction, *, completed: bool) -> schemas.ListedAction:
    return schemas.ListedAction(
        action_id=action.action_id,
        title=action.title,
        prompt=action.prompt,
        points=action.points,
        repeat=action.repeat,
        completed=completed,
    )


def _details(action: OfferedAction) -> schemas.ActionDetails:
    return schemas.ActionDetails(
        action_id=action.action_id, title=action.title, prompt=action.prompt, points=action.points
    )
