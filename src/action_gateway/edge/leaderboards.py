"""`GET /leaderboard` and `GET /leaderboard/me`: the board as it is now, page by page and around the caller.

A board without awards does not exist yet for the score service; here it is an empty one at revision 0.
"""

from collections.abc import Iterable
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

import score_client.errors
from action_gateway.domain.entries import Entry, name_entries
from action_gateway.edge.authentication import CurrentUser
from action_gateway.edge.problems import describe
from action_gateway.errors import (
    InvalidRequestError,
    RateLimitedError,
    UnauthenticatedError,
    UnavailableError,
)
from action_gateway.leaderboard.board_reader import no_standing
from action_gateway.leaderboard.usernames import Usernames
from score_client.client import ScoreClient
from score_client.errors import BoardNotFoundError, StandingNotFoundError
from score_client.types import Source, Standing, StandingsView

_PROBLEMS: Final = describe([UnauthenticatedError, InvalidRequestError, RateLimitedError, UnavailableError])
_EMPTY: Final = StandingsView(standings=(), revision=0, position="", source=Source.CACHE)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, validate_by_name=True)

    entries: tuple[Entry, ...] = Field(description="rows of the leaderboard, best first")
    revision: int = Field(description="how many awards the board had when this was read")
    source: Source = Field(description="`record` while the ranks are rebuilt; then some may be null")


class LeaderboardPage(_Answer):
    """Some rows from the top."""

    next_page_token: str | None = Field(
        default=None,
        description="`pageToken` of the next page; absent on the last one",
        exclude_if=lambda token: token is None,
    )


class Neighbourhood(_Answer):
    """The caller's row and those next to it."""

    me: Entry = Field(description="score 0 and rank null before the first award")


class Leaderboard:
    """Reads one board for players."""

    def __init__(self, client: ScoreClient, usernames: Usernames, board_id: str) -> None:
        self._client = client
        self._usernames = usernames
        self._board_id = board_id

    def router(self) -> APIRouter:
        """Return the routes, relative to the prefix of the API."""
        router = APIRouter(prefix="/leaderboard", tags=["leaderboard"], responses=_PROBLEMS)

        @router.get("")
        async def list_leaderboard(
            _: CurrentUser,
            limit: Annotated[int, Query(ge=1, le=100)] = 10,
            page_token: Annotated[str, Query(alias="pageToken", max_length=1024)] = "",
        ) -> LeaderboardPage:
            """List the leaderboard from the top."""
            return await self.page(limit, page_token)

        @router.get("/me")
        async def show_my_place(
            access: CurrentUser,
            radius: Annotated[int, Query(ge=0, le=50)] = 2,
        ) -> Neighbourhood:
            """Show the caller's place, with `radius` neighbours on each side."""
            return await self.around(access.user_id, radius)

        return router

    async def page(self, limit: int, page_token: str) -> LeaderboardPage:
        """Read a page. Raises InvalidRequestError for a bad token, or a ScoreClientError."""
        try:
            view = await self._client.list_standings(
                board_id=self._board_id, page_size=limit, page_token=page_token
            )
        except BoardNotFoundError:
            view = _EMPTY
        except score_client.errors.InvalidRequestError:
            # Nothing else in the request comes from outside.
            raise InvalidRequestError({"pageToken": "is not the token of a page"}) from None
        return LeaderboardPage(
            entries=await self._entries(view.standings),
            revision=view.revision,
            source=view.source,
            next_page_token=view.next_page_token or None,
        )

    async def around(self, user_id: str, radius: int) -> Neighbourhood:
        """Read a user's neighbourhood. Raises a ScoreClientError where that fails."""
        view = await self._around(user_id, radius)
        mine = next((standing for standing in view.standings if standing.user_id == user_id), None)
        me, *entries = await self._entries((mine or no_standing(user_id), *view.standings))
        return Neighbourhood(me=me, entries=tuple(entries), revision=view.revision, source=view.source)

    async def _around(self, user_id: str, radius: int) -> StandingsView:
        try:
            return await self._client.list_standings_around(
                board_id=self._board_id, user_id=user_id, radius=radius
            )
        except BoardNotFoundError:
            return _EMPTY
        except StandingNotFoundError:
            # Tells the revision, and the standing too if the first award has come meanwhile.
            return await self._client.batch_get_standings(board_id=self._board_id, user_ids=[user_id])

    async def _entries(self, standings: Iterable[Standing]) -> tuple[Entry, ...]:
        standings = tuple(standings)
        names = await self._usernames.names_of(standing.user_id for standing in standings)
        return name_entries(standings, names)
