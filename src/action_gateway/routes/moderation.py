"""The routes of moderators. Each call looks up whether its caller is one."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query

from action_gateway import errors
from action_gateway.domain.reversal import ShownReversal
from action_gateway.edge.authentication import CurrentModerator
from action_gateway.edge.operations import add_operation, body_of
from action_gateway.edge.problems import describe
from action_gateway.moderation.moderation import Moderation, Profile
from action_gateway.routes import moderation_schemas as schemas
from action_gateway.routes.rejections import BUSY
from score_client.types import ReversalPlan

ReversalBody = Annotated[schemas.NewReversal, Depends(body_of(schemas.NewReversal))]
PlanBody = Annotated[schemas.NewPlan, Depends(body_of(schemas.NewPlan))]
ApplyBody = Annotated[schemas.PlanApply, Depends(body_of(schemas.PlanApply))]
VisibilityBody = Annotated[schemas.VisibilityChange, Depends(body_of(schemas.VisibilityChange))]
DismissalBody = Annotated[schemas.Dismissal, Depends(body_of(schemas.Dismissal))]

_ALWAYS: Final = (errors.UnauthenticatedError, errors.ModeratorOnlyError, *BUSY)
_WITHOUT_NUL: Final = r"^[^\x00]*$"
"""PostgreSQL has no text with that character."""
_CALLS: Final = (*_ALWAYS, errors.ScoreServiceDeniedError, errors.BoardNotFoundError)
"""What a call to the score service may be rejected with."""


class ModerationRoutes:
    """The routes under `/moderation`."""

    def __init__(self, moderation: Moderation) -> None:
        self._moderation = moderation

    def router(self) -> APIRouter:
        """Return the routes, relative to the prefix of the API."""
        router = APIRouter(prefix="/moderation", tags=["moderation"])
        asked = (*_ALWAYS, errors.InvalidRequestError)
        for path, endpoint, rejections in (
            ("/boards", self.list_boards, _ALWAYS),
            (
                "/player",
                self.find_player,
                (*asked, errors.ScoreServiceDeniedError, errors.PlayerNotFoundError),
            ),
            ("/awards", self.list_awards, (*asked, *_CALLS)),
            ("/suspicions", self.list_suspicions, asked),
        ):
            router.add_api_route(path, endpoint, methods=["GET"], responses=describe(rejections))
        self._add_changes(router)
        return router

    def _add_changes(self, router: APIRouter) -> None:
        add_operation(
            router,
            "/reversals",
            self.reverse,
            schemas.NewReversal,
            (*_CALLS, errors.AwardNotFoundError, errors.AwardReversedError, errors.AwardArchivedError),
        )
        add_operation(router, "/reversals/plan", self.plan, schemas.NewPlan, _CALLS)
        stale = (*_CALLS, errors.PlanStaleError)
        add_operation(router, "/reversals/apply", self.apply, schemas.PlanApply, stale)
        absent = (*_CALLS, errors.StandingNotFoundError)
        add_operation(router, "/visibility", self.set_visibility, schemas.VisibilityChange, absent)
        add_operation(
            router, "/suspicions/dismiss", self.dismiss, schemas.Dismissal, _ALWAYS, status_code=204
        )

    async def list_boards(self, _: CurrentModerator) -> schemas.BoardList:
        """List the leaderboards."""
        return schemas.BoardList(boards=tuple(await self._moderation.list_boards()))

    async def find_player(
        self,
        _: CurrentModerator,
        username: Annotated[str | None, Query(min_length=1, max_length=200, pattern=_WITHOUT_NUL)] = None,
        user_id: Annotated[schemas.Id | None, Query(alias="userId")] = None,
    ) -> schemas.ShownPlayer:
        """Find a player by `username`, whatever its letter case, or by `userId`."""
        if (username is None) == (user_id is None):
            raise errors.InvalidRequestError({"query": "must have either username or userId"})
        return _shown(await self._moderation.find_player(username=username, user_id=user_id))

    async def list_awards(
        self,
        _: CurrentModerator,
        board_id: Annotated[schemas.Id, Query(alias="boardId")],
        user_id: Annotated[schemas.Id | None, Query(alias="userId")] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        page_token: Annotated[str, Query(alias="pageToken", max_length=1024)] = "",
    ) -> schemas.AwardList:
        """List the awards of a leaderboard, or of one player on it, newest first."""
        view = await self._moderation.list_awards(
            board_id, user_id or "", page_size=limit, page_token=page_token
        )
        names = await self._moderation.name({award.user_id for award in view.awards})
        return schemas.AwardList(
            awards=tuple(schemas.ShownAward.of(award, names[award.user_id]) for award in view.awards),
            next_page_token=view.next_page_token or None,
            archived_revision=view.archived_revision or None,
        )

    async def list_suspicions(
        self, _: CurrentModerator, limit: Annotated[int, Query(ge=1, le=200)] = 50
    ) -> schemas.SuspicionList:
        """List what there is to suspect of players, the newest first. None of it is a proof."""
        found = await self._moderation.list_suspicions(limit)
        return schemas.SuspicionList(suspicions=tuple(map(schemas.ShownSuspicion.of, found)))

    async def reverse(self, moderator: CurrentModerator, body: ReversalBody) -> schemas.Reversed:
        """Take an award back. The same `reversalId` again gets the same answer."""
        result = await self._moderation.reverse_award(
            moderator.user_id,
            body.board_id,
            body.award_id,
            reversal_id=body.reversal_id,
            reason=body.reason,
        )
        return schemas.Reversed(
            reversal=ShownReversal.of(result.reversal), rank=result.rank, replayed=result.replayed
        )

    async def plan(self, _: CurrentModerator, body: PlanBody) -> schemas.Planned:
        """Return what taking back all awards of a filter would change. Nothing is changed."""
        plan = await self._moderation.plan_reversals(body.board_id, body.filter.to_filter())
        names = await self._moderation.name({move.user_id for move in plan.moves})
        return schemas.Planned(
            awards=plan.awards,
            points=plan.points,
            users=plan.users,
            moves=tuple(schemas.ShownMove.of(move, names[move.user_id]) for move in plan.moves),
            revision=plan.revision,
            plan_token=plan.token,
        )

    async def apply(self, moderator: CurrentModerator, body: ApplyBody) -> schemas.Applied:
        """Take back the awards of a plan, as many as a few seconds allow. The same call again goes on."""
        plan = ReversalPlan(
            board_id=body.board_id,
            award_filter=body.filter.to_filter(),
            awards=0,
            points=0,
            users=0,
            moves=(),
            revision=0,
            token=body.plan_token,
        )
        progress = await self._moderation.apply_reversals(moderator.user_id, plan, reason=body.reason)
        return schemas.Applied(reversed=progress.reversed, done=progress.done)

    async def set_visibility(
        self, moderator: CurrentModerator, body: VisibilityBody
    ) -> schemas.VisibilitySet:
        """Set who may see a player: `visible` everyone, `hidden` nobody, `shadowed` nobody, unnoticed."""
        result = await self._moderation.set_visibility(
            moderator.user_id, body.board_id, body.user_id, body.visibility, reason=body.reason
        )
        return schemas.VisibilitySet(
            visibility=result.visibility, before=result.before, revision=result.revision
        )

    async def dismiss(self, _: CurrentModerator, body: DismissalBody) -> None:
        """Forget a suspicion as it was shown. If there is more of it since, it stays."""
        await self._moderation.dismiss_suspicion(body.user_id, body.signal, last_at=body.last_at)


def _shown(profile: Profile) -> schemas.ShownPlayer:
    account = profile.account
    return schemas.ShownPlayer(
        user_id=profile.user_id,
        username=profile.username,
        created_at=account.created_at if account else None,
        roles=account.roles if account else (),
        places=tuple(
            schemas.ShownPlace(
                board_id=place.board_id,
                score=place.standing.total,
                rank=place.standing.rank,
                visibility=place.visibility,
            )
            for place in profile.places
        ),
        suspicions=tuple(map(schemas.ShownSuspicion.of, profile.suspicions)),
    )
