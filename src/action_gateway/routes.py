"""The routes of logins and actions: from JSON to commands and back."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, status
from starlette.requests import Request

from action_gateway import errors, schemas
from action_gateway.actions import Actions, Answer
from action_gateway.authentication import CurrentUser
from action_gateway.bodies import FAILURES, body_of, describe_body
from action_gateway.problems import describe
from action_gateway.sessions import Login, Sessions
from action_gateway.store import OfferedAction, User

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]+$",
        description="lets the request be repeated: the same key and body get the first answer again",
    ),
]


def session_routes(sessions: Sessions, *, registration_enabled: bool) -> APIRouter:
    """Make the routes under `/auth`."""
    router = APIRouter(prefix="/auth", tags=["sessions"])

    @router.post(
        "/register",
        status_code=status.HTTP_201_CREATED,
        openapi_extra=describe_body(schemas.Registration),
        responses=describe(
            [
                *FAILURES,
                errors.RegistrationClosedError,
                errors.UsernameTakenError,
                errors.RateLimitedError,
                errors.UnavailableError,
            ]
        ),
    )
    async def register(
        request: Request, body: Annotated[schemas.Registration, Depends(body_of(schemas.Registration))]
    ) -> schemas.Registered:
        """Make an account."""
        if not registration_enabled:
            raise errors.RegistrationClosedError
        user = await sessions.register(body.username, body.password, address=_address(request))
        return schemas.Registered(user=_user(user))

    @router.post(
        "/login",
        openapi_extra=describe_body(schemas.Credentials),
        responses=describe(
            [*FAILURES, errors.BadCredentialsError, errors.RateLimitedError, errors.UnavailableError]
        ),
    )
    async def log_in(
        request: Request, body: Annotated[schemas.Credentials, Depends(body_of(schemas.Credentials))]
    ) -> schemas.LoggedIn:
        """Log in, which begins a session."""
        login = await sessions.log_in(body.username, body.password, address=_address(request))
        return _logged_in(login)

    @router.post(
        "/refresh",
        openapi_extra=describe_body(schemas.RefreshToken),
        responses=describe([*FAILURES, errors.BadRefreshTokenError, errors.UnavailableError]),
    )
    async def refresh(
        body: Annotated[schemas.RefreshToken, Depends(body_of(schemas.RefreshToken))],
    ) -> schemas.LoggedIn:
        """Continue a session. Each refresh token is good once; an older one coming back ends the session."""
        return _logged_in(await sessions.refresh(body.refresh_token))

    @router.post(
        "/logout",
        status_code=status.HTTP_204_NO_CONTENT,
        openapi_extra=describe_body(schemas.RefreshToken),
        responses=describe([*FAILURES, errors.UnavailableError]),
    )
    async def log_out(
        body: Annotated[schemas.RefreshToken, Depends(body_of(schemas.RefreshToken))],
    ) -> None:
        """End a session."""
        await sessions.log_out(body.refresh_token)

    return router


def action_routes(actions: Actions) -> APIRouter:
    """Make the routes under `/actions`."""
    router = APIRouter(prefix="/actions", tags=["actions"])

    @router.get("", responses=describe([errors.UnauthenticatedError, errors.UnavailableError]))
    async def list_actions(user: CurrentUser) -> schemas.ActionList:
        """List the actions."""
        listed = await actions.list_actions(user.user_id)
        return schemas.ActionList(
            actions=[_listed(action, completed=completed) for action, completed in listed]
        )

    @router.post(
        "/start",
        openapi_extra=describe_body(schemas.Start),
        responses=describe(
            [
                *FAILURES,
                errors.UnauthenticatedError,
                errors.ActionNotFoundError,
                errors.ActionCompletedError,
                errors.RateLimitedError,
                errors.UnavailableError,
            ]
        ),
    )
    async def start_action(
        user: CurrentUser, body: Annotated[schemas.Start, Depends(body_of(schemas.Start))]
    ) -> schemas.Started:
        """Start an action."""
        start = await actions.start(user.user_id, body.action_id)
        return schemas.Started(
            action_token=start.token, expires_at=start.expires_at, action_details=_details(start.action)
        )

    @router.post(
        "/complete",
        openapi_extra=describe_body(schemas.Completion),
        responses=describe(
            [
                *FAILURES,
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
                errors.RateLimitedError,
                errors.UnavailableError,
            ]
        ),
    )
    async def complete_action(
        user: CurrentUser,
        body: Annotated[schemas.Completion, Depends(body_of(schemas.Completion))],
        idempotency_key: IdempotencyKey = None,
    ) -> schemas.Completed:
        """Complete an action, which pays its points once."""
        given = Answer(user.user_id, body.action_token, body.proof.answer, idempotency_key)
        payment = await actions.complete(given)
        return schemas.Completed(
            points_earned=payment.points_earned,
            new_total_score=payment.new_total_score,
            new_rank=payment.new_rank,
        )

    return router


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
