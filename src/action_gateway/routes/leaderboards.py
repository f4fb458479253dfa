"""`GET /leaderboard`, `/leaderboard/me` and `/leaderboard/periods`: the board, of all time or in a period.

A board without awards does not exist yet for the score service; here it is an empty one at revision 0, which
has no periods.
"""

from collections.abc import Iterable
from itertools import chain, islice
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

import score_client.errors
from action_gateway.domain.entries import Entry, name_entries, without_hidden
from action_gateway.domain.periods import ALL_TIME, PeriodChoice, ShownPeriod, show_period
from action_gateway.edge.authentication import CurrentUser
from action_gateway.edge.problems import describe
from action_gateway.errors import (
    InvalidRequestError,
    PeriodUnknownError,
    RateLimitedError,
    UnauthenticatedError,
    UnavailableError,
)
from action_gateway.leaderboard.board_reader import no_standing
from action_gateway.leaderboard.calendar import Calendar
from action_gateway.leaderboard.results import Results
from action_gateway.leaderboard.usernames import Usernames
from score_client.client import ScoreClient
from score_client.errors import BoardNotFoundError, StandingNotFoundError
from score_client.types import PeriodKind, Source, Standing, StandingsView

_PROBLEMS: Final = describe([UnauthenticatedError, InvalidRequestError, RateLimitedError, UnavailableError])
_PERIOD_PROBLEMS: Final = describe([PeriodUnknownError])
_EMPTY: Final = StandingsView(standings=(), revision=0, position="", source=Source.CACHE)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, validate_by_name=True)

    entries: tuple[Entry, ...] = Field(description="rows of the leaderboard, best first")
    revision: int = Field(description="how many entries the ledger of the board had when this was read")
    source: Source = Field(
        description="`record` for a final period, and while the ranks are rebuilt; then some may be null"
    )
    period: ShownPeriod | None = Field(description="which one is shown; null for all time")


class LeaderboardPage(_Answer):
    """Some rows from the top."""

    next_page_token: str | None = Field(
        default=None,
        description="`pageToken` of the next page; absent on the last one",
        exclude_if=lambda token: token is None,
    )


class Neighbourhood(_Answer):
    """The caller's row and those next to it."""

    me: Entry = Field(description="score 0 and rank null without points; rank null for a user who is hidden")


class ListedPeriod(ShownPeriod):
    """A period that somebody has points in."""

    entrants: int = Field(description="how many users have points in it")
    podium: tuple[Entry, ...] = Field(description="the first three, so far or for good; see `state`")


class PeriodList(BaseModel):
    """The periods of the leaderboard."""

    current: tuple[ShownPeriod, ...] = Field(
        description="the current one of each kind that the leaderboard has"
    )
    periods: tuple[ListedPeriod, ...] = Field(
        description="those that somebody has points in, the last to end first"
    )


class Leaderboard:
    """Reads one board for players."""

    def __init__(
        self, client: ScoreClient, usernames: Usernames, calendar: Calendar, results: Results, board_id: str
    ) -> None:
        self._client = client
        self._usernames = usernames
        self._calendar = calendar
        self._results = results
        self._board_id = board_id

    def router(self) -> APIRouter:
        """Return the routes, relative to the prefix of the API."""
        router = APIRouter(prefix="/leaderboard", tags=["leaderboard"], responses=_PROBLEMS)

        @router.get("", responses=_PERIOD_PROBLEMS)
        async def list_leaderboard(
            _: CurrentUser,
            limit: Annotated[int, Query(ge=1, le=100)] = 10,
            page_token: Annotated[str, Query(alias="pageToken", max_length=1024)] = "",
            period: Annotated[PeriodChoice, Query()] = ALL_TIME,
        ) -> LeaderboardPage:
            """List the leaderboard from the top."""
            return await self.page(limit, page_token, period)

        @router.get("/me", responses=_PERIOD_PROBLEMS)
        async def show_my_place(
            access: CurrentUser,
            radius: Annotated[int, Query(ge=0, le=50)] = 2,
            period: Annotated[PeriodChoice, Query()] = ALL_TIME,
        ) -> Neighbourhood:
            """Show the caller's place, with `radius` neighbours on each side."""
            return await self.around(access.user_id, radius, period)

        @router.get("/periods")
        async def list_periods(
            _: CurrentUser,
            kind: PeriodKind | None = None,
            limit: Annotated[int, Query(ge=1, le=100)] = 10,
        ) -> PeriodList:
            """List the periods of the leaderboard, of one kind or of all, with their podiums."""
            return await self.periods(kind, limit)

        return router

    async def page(self, limit: int, page_token: str, period: str) -> LeaderboardPage:
        """Read a page.

        Raises InvalidRequestError for a bad token, PeriodUnknownError, or a ScoreClientError.
        """
        try:
            view = await self._client.list_standings(
                board_id=self._board_id, page_size=limit, page_token=page_token, period=period
            )
        except BoardNotFoundError:
            view = _find_empty(period)
        except score_client.errors.InvalidRequestError:
            # Nothing else in the request comes from outside.
            raise InvalidRequestError({"pageToken": "is not the token of a page"}) from None
        return LeaderboardPage(
            entries=await self._entries(without_hidden(view.standings)),
            revision=view.revision,
            source=view.source,
            next_page_token=view.next_page_token or None,
            period=_find_shown(view, period),
        )

    async def around(self, user_id: str, radius: int, period: str) -> Neighbourhood:
        """Read a user's neighbourhood. Raises PeriodUnknownError, or a ScoreClientError where that fails."""
        view = await self._around(user_id, radius, period)
        standings = [standing for standing in view.standings if standing.total]
        mine = next((standing for standing in standings if standing.user_id == user_id), None)
        shown = without_hidden(standings, own=user_id)
        me, *entries = await self._entries((mine or no_standing(user_id), *shown))
        return Neighbourhood(
            me=me,
            entries=tuple(entries),
            revision=view.revision,
            source=view.source,
            period=_find_shown(view, period),
        )

    async def periods(self, kind: PeriodKind | None, limit: int) -> PeriodList:
        """Read the periods of a kind, or of all. Raises a GatewayError or a ScoreClientError."""
        kinds = PeriodKind if kind is None else (kind,)
        found = [await self._calendar.find_current(self._board_id, one) for one in kinds]
        results = await self._results.list_results(kind, limit)
        winners = [without_hidden(result.winners) for result in results]
        podiums = iter(await self._entries(chain.from_iterable(winners)))
        return PeriodList(
            current=tuple(shown for period in found if (shown := show_period(period))),
            periods=tuple(
                ListedPeriod.of(
                    result.period,
                    entrants=result.period.entrants,
                    podium=tuple(islice(podiums, len(podium))),
                )
                for result, podium in zip(results, winners, strict=True)
            ),
        )

    async def _around(self, user_id: str, radius: int, period: str) -> StandingsView:
        try:
            return await self._client.list_standings_around(
                board_id=self._board_id, user_id=user_id, radius=radius, period=period
            )
        except BoardNotFoundError:
            return _find_empty(period)
        except StandingNotFoundError:
            # Tells the revision, and the standing too if the first award has come meanwhile.
            return await self._client.batch_get_standings(
                board_id=self._board_id, user_ids=[user_id], period=period
            )

    async def _entries(self, standings: Iterable[Standing]) -> tuple[Entry, ...]:
        standings = tuple(standings)
        names = await self._usernames.names_of(standing.user_id for standing in standings)
        return name_entries(standings, names)


def _find_shown(view: StandingsView, period: str) -> ShownPeriod | None:
    """Return the period that is shown. Raises PeriodUnknownError if the score service knows no periods."""
    if view.period is None and period not in {"", ALL_TIME}:
        raise PeriodUnknownError
    return show_period(view.period)


def _find_empty(period: str) -> StandingsView:
    """Return what is shown of a board without awards. Raises PeriodUnknownError: it has no periods."""
    if period in {"", ALL_TIME}:
        return _EMPTY
    raise PeriodUnknownError
