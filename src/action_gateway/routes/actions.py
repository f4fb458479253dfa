"""The routes of actions."""

from typing import Annotated

from fastapi import APIRouter, Depends

from action_gateway import errors
from action_gateway.actions.actions import Actions, Answer
from action_gateway.edge.authentication import CurrentUser
from action_gateway.edge.operations import IdempotencyKey, Operation, add_operation, body_of
from action_gateway.edge.problems import describe
from action_gateway.edge.suspicions import Suspicions
from action_gateway.routes import schemas
from action_gateway.routes.rejections import OPENING, SCORING
from action_gateway.store.store import OfferedAction

StartBody = Annotated[schemas.Start, Depends(body_of(schemas.Start))]
CompletionBody = Annotated[schemas.Completion, Depends(body_of(schemas.Completion))]


class ActionRoutes:
    """The routes under `/actions`."""

    def __init__(self, actions: Actions, suspicions: Suspicions) -> None:
        self._actions = actions
        self._suspicions = suspicions

    def router(self) -> APIRouter:
        """Return the routes, relative to the prefix of the API."""
        router = APIRouter(prefix="/actions", tags=["actions"])
        rejections = describe([errors.UnauthenticatedError, *SCORING])
        router.add_api_route("", self.list_actions, methods=["GET"], responses=rejections)
        add_operation(
            router,
            "/start",
            self.start_action,
            schemas.Start,
            OPENING,
        )
        add_operation(
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
                *SCORING,
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
        self._suspicions.note_payment(user.user_id, payment.points)
        return schemas.Completed(**dict(payment))


def _listed(action: OfferedAction, *, completed: bool) -> schemas.ListedAction:
    return schemas.ListedAction(
        action_id=action.action_id,
        kind=action.kind,
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
