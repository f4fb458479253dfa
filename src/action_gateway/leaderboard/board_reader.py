"""Reading one board from the score service, as the feed needs it: of all time, or in a period.

A user without an award has a standing of zero here, and a board without awards is one on which all have.
"""

from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Protocol

from action_gateway.domain.entries import Entry, name_entries
from score_client.errors import BoardNotFoundError, PeriodUnknownError, UnavailableError
from score_client.types import Checkpoint, Snapshot, Standing, StandingsView, Update

_USERS_A_CALL = 1000


class LeaderboardSource(Protocol):
    """What is needed of `ScoreClient`."""

    def watch(
        self,
        *,
        board_id: str,
        top_n: int,
        after_position: str | None = None,
        all_scores: bool = False,
        user_ids: Iterable[str] = (),
        period: str = "",
    ) -> AsyncGenerator[Snapshot | Update | Checkpoint, None]:
        """Follow a board."""

    async def batch_get_standings(
        self, *, board_id: str, user_ids: Sequence[str], min_revision: int | None = None, period: str = ""
    ) -> StandingsView:
        """Read the standings of up to 1000 users."""


class NameSource(Protocol):
    """What is needed of `Usernames`."""

    async def names_of(self, user_ids: Iterable[str]) -> Mapping[str, str | None]:
        """Return the names of users, None for unknown ones. Never fails."""


class BoardReader:
    """Reads the standings and the changes of one board. Raises a ScoreClientError where that fails."""

    def __init__(
        self, source: LeaderboardSource, usernames: NameSource, board_id: str, period: str = ""
    ) -> None:
        """Take which period to follow; the empty text is all time."""
        self.board_id = board_id
        self.period = period
        self._source = source
        self._usernames = usernames

    def watch(
        self, top_n: int, *, after_position: str | None
    ) -> AsyncGenerator[Snapshot | Update | Checkpoint, None]:
        """Follow the top of the board and the scores of every user."""
        return self._source.watch(
            board_id=self.board_id,
            top_n=top_n,
            after_position=after_position,
            all_scores=True,
            period=self.period,
        )

    async def read_changes(
        self, user_id: str, *, after_position: str, until_revision: int
    ) -> AsyncGenerator[tuple[Standing, int], None]:
        """Yield what became of a user's score between two states, and at which revision.

        Nothing if the first state cannot be resumed.
        """
        events = self._source.watch(
            board_id=self.board_id,
            top_n=1,
            after_position=after_position,
            user_ids=[user_id],
            period=self.period,
        )
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Snapshot) and event.reset:
                    return
                for standing in event.scores if isinstance(event, Update) else ():
                    yield standing, event.revision
                # What was missed comes after the snapshot, unless there is no room for it.
                complete = not isinstance(event, Snapshot) or event.position == after_position
                if complete and event.revision >= until_revision:
                    return

    async def read_standings(
        self, user_ids: Sequence[str], min_revision: int, period_id: str = ""
    ) -> tuple[dict[str, Standing], int]:
        """Read standings, zero for users without one, and the revision they hold at.

        Args:
            user_ids: Up to 1000 users.
            min_revision: The least revision to read at.
            period_id: The period, as the watch has named it; the empty text for all time.
        """
        standings = {user_id: no_standing(user_id) for user_id in user_ids}
        try:
            view = await self._source.batch_get_standings(
                board_id=self.board_id, user_ids=user_ids, min_revision=min_revision, period=period_id
            )
        except BoardNotFoundError:
            return standings, 0
        except PeriodUnknownError as error:
            # For the server that was asked it has not begun: its clock is behind.
            raise UnavailableError(error.reason, error.message) from error
        known = {standing.user_id: standing for standing in view.standings if standing.total}
        return standings | known, view.revision

    async def read_all_standings(
        self, user_ids: Collection[str], min_revision: int, period_id: str = ""
    ) -> dict[str, Standing]:
        """Read the standings of any number of users, also of those who are added while this reads."""
        known: dict[str, Standing] = {}
        while missing := list(user_ids - known.keys())[:_USERS_A_CALL]:
            standings, _ = await self.read_standings(missing, min_revision, period_id)
            known |= standings
        return known

    async def name(self, standings: Sequence[Standing]) -> tuple[Entry, ...]:
        """Turn standings into rows with the names of their users."""
        names = await self._usernames.names_of(standing.user_id for standing in standings)
        return name_entries(standings, names)


def no_standing(user_id: str) -> Standing:
    """Return the standing of a user without an award."""
    return Standing(user_id=user_id, total=0, rank=None, reached_revision=0)
