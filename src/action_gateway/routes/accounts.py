"""The routes of the own account: taking along what is known of it, and deleting it."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from starlette.requests import Request

from action_gateway import errors
from action_gateway.accounts.accounts import Accounts, Export, ExportedAward
from action_gateway.edge.authentication import CurrentUser, DepartingUser
from action_gateway.edge.operations import add_operation, body_of, find_address
from action_gateway.edge.problems import describe
from action_gateway.routes import schemas
from action_gateway.routes.rejections import BUSY, SCORING

DeletionBody = Annotated[schemas.Deletion, Depends(body_of(schemas.Deletion))]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, validate_by_name=True)


class AccountExport(_Answer):
    """An account."""

    user_id: str
    username: str
    created_at: datetime
    roles: tuple[str, ...] = Field(description="what the account may do beyond playing")


class SessionExport(_Answer):
    """A login that goes on."""

    expires_at: datetime
    renewed_at: datetime | None = Field(description="null until it is continued for the first time")


class AwardExport(_Answer):
    """Points that were given."""

    board_id: str
    award_id: UUID
    revision: int = Field(description="its number in the ledger of the board")
    points: int
    total: int = Field(description="the score right after it")
    action_type: str
    action_id: str
    recorded_at: datetime
    occurred_at: datetime | None = Field(description="when it happened, where that was said")
    periods: tuple[str, ...] = Field(description="the periods that it counts in")
    reversed_at: datetime | None = Field(description="when it was taken back; null if it stands")

    @classmethod
    def of(cls, exported: ExportedAward) -> Self:
        """Take an award of the ledger."""
        award = exported.award
        return cls(
            board_id=exported.board_id,
            award_id=award.award_id,
            revision=award.revision,
            points=award.points,
            total=award.total,
            action_type=award.action_type,
            action_id=award.action_id,
            recorded_at=award.recorded_at,
            occurred_at=award.occurred_at,
            periods=award.periods,
            reversed_at=award.reversal.recorded_at if award.reversal else None,
        )


class Exported(_Answer):
    """What is known of a user."""

    account: AccountExport
    sessions: tuple[SessionExport, ...]
    awards: tuple[AwardExport, ...] = Field(description="by board, newest first")
    archived_boards: tuple[str, ...] = Field(
        default=(),
        description="boards of which older awards are archived, and on no page; absent where there are none",
        exclude_if=lambda boards: not boards,
    )
    next_page_token: str | None = Field(
        default=None,
        description="`pageToken` of the page with the next awards; absent on the last one",
        exclude_if=lambda token: token is None,
    )


class AccountRoutes:
    """The routes under `/account`."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def router(self) -> APIRouter:
        """Return the routes, relative to the prefix of the API."""
        router = APIRouter(prefix="/account", tags=["account"])
        add_operation(
            router,
            "",
            self.delete,
            schemas.Deletion,
            (errors.UnauthenticatedError, errors.BadCredentialsError, *BUSY),
            method="DELETE",
            status_code=204,
        )
        rejections = (
            errors.UnauthenticatedError,
            errors.InvalidRequestError,
            *SCORING,
        )
        router.add_api_route("/export", self.export, methods=["GET"], responses=describe(rejections))
        return router

    async def delete(self, request: Request, user: DepartingUser, body: DeletionBody) -> None:
        """Delete the account, with its name, logins and attempts. Asked again, it does nothing.

        Points stay in the ledger, under an id that nothing says the owner of. The row of the leaderboard has
        no name from then on, or is hidden, as the gateway is set up.
        """
        await self._accounts.delete(user.user_id, body.password, address=find_address(request))

    async def export(
        self,
        user: CurrentUser,
        page_token: Annotated[str, Query(alias="pageToken", max_length=1024)] = "",
    ) -> Exported:
        """Export the account, its sessions and its awards."""
        return _exported(await self._accounts.export(user.user_id, page_token))


def _exported(export: Export) -> Exported:
    account = export.account
    return Exported(
        account=AccountExport(
            user_id=account.user.user_id,
            username=account.user.username,
            created_at=account.created_at,
            roles=account.roles,
        ),
        sessions=tuple(
            SessionExport(expires_at=session.expires_at, renewed_at=session.renewed_at)
            for session in export.sessions
        ),
        awards=tuple(AwardExport.of(exported) for exported in export.awards),
        archived_boards=tuple(export.archived_boards),
        next_page_token=export.next_page_token or None,
    )
