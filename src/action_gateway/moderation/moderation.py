"""What moderators do to the boards, in their own name.

Each change is an entry of the ledger of the score service, with the reason and the id of the moderator.
Nothing of it is kept here. A change whose answer was lost is asked for again, and is made once.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from action_gateway import errors
from action_gateway.leaderboard.usernames import Usernames
from action_gateway.store.store import AccountDetails, Store
from action_gateway.store.suspicions import Suspected
from score_client import errors as score
from score_client.client import ScoreClient
from score_client.types import (
    AwardFilter,
    AwardsView,
    ReversalPlan,
    ReversalResult,
    Standing,
    Visibility,
    VisibilityResult,
)

_APPLY_SECONDS: Final = 5.0
"""After that an apply answers how far it has come."""
_SUSPICIONS_OF_ONE: Final = 100
_CORRECTIONS: Final = "score_api.v1.CorrectionService/"
_LEDGER: Final = "score_api.v1.LedgerService/"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a player stands on a board."""

    board_id: str
    standing: Standing

    @property
    def visibility(self) -> Visibility:
        """Who may see the player. While ranks are not known, one who is shadowed is taken for hidden."""
        if not self.standing.hidden:
            return Visibility.VISIBLE
        return Visibility.HIDDEN if self.standing.rank is None else Visibility.SHADOWED


@dataclass(frozen=True, slots=True, repr=False)
class Profile:
    """What a moderator sees of a player."""

    user_id: str
    username: str | None
    account: AccountDetails | None
    """None for one who has left, and for players of other services."""
    places: tuple[Place, ...]
    """On the boards on which there are points."""
    suspicions: tuple[Suspected, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the apply of a plan has come."""

    reversed: int
    """Awards of the plan that are reversed now."""
    done: bool


class Moderation:
    """The commands of moderators.

    All raise UnavailableError while a part they need is unavailable, and ScoreServiceDeniedError where the
    policy of the score service does not let this gateway make the call.
    """

    def __init__(
        self,
        client: ScoreClient,
        store: Store,
        usernames: Usernames,
        board_id: str,
        *,
        apply_seconds: float = _APPLY_SECONDS,
    ) -> None:
        """Take the board that actions without one pay to."""
        self._client = client
        self._store = store
        self._usernames = usernames
        self._board_id = board_id
        self._apply_seconds = apply_seconds

    async def list_boards(self) -> list[str]:
        """List the boards, the one that is shown first."""
        others = await self._store.list_boards()
        return list(dict.fromkeys([self._board_id, *others]))

    async def name(self, user_ids: Collection[str]) -> dict[str, str | None]:
        """Name users."""
        return await self._usernames.names_of(user_ids)

    async def find_player(self, *, username: str | None = None, user_id: str | None = None) -> Profile:
        """Find a player by name or id. Raises PlayerNotFoundError."""
        if username is not None:
            found = await self._store.find_account(username)
            user_id = found.user.user_id if found else None
        if user_id is None:
            raise errors.PlayerNotFoundError
        account = await self._store.get_account(user_id)
        places = await self._find_places(user_id)
        if account is None and not places and not await self._has_history(user_id):
            raise errors.PlayerNotFoundError
        return Profile(
            user_id=user_id,
            username=(await self.name([user_id]))[user_id],
            account=account,
            places=places,
            suspicions=tuple(await self._store.suspicions.list(user_id=user_id, limit=_SUSPICIONS_OF_ONE)),
        )

    async def list_awards(
        self, board_id: str, user_id: str, *, page_size: int, page_token: str
    ) -> AwardsView:
        """Return a page of the awards of a board, or of one user on it, newest first.

        Raises:
            BoardNotFoundError, InvalidRequestError: there is no such board, or no such page.
        """
        async with _translated(_LEDGER + "ListAwards"):
            return await self._client.list_awards(
                board_id=board_id, user_id=user_id, page_size=page_size, page_token=page_token
            )

    async def reverse_award(
        self, moderator: str, board_id: str, award_id: UUID, *, reversal_id: UUID, reason: str
    ) -> ReversalResult:
        """Take an award back, once for each reversal id.

        Raises:
            AwardNotFoundError: the board has no such award.
            AwardReversedError: it was taken back by another reversal, which the error has.
            AwardArchivedError: it is archived.
        """
        async with _translated(_CORRECTIONS + "ReverseAward"):
            return await self._client.reverse_award(
                board_id=board_id,
                award_id=award_id,
                reversal_id=reversal_id,
                reason=reason,
                on_behalf_of=moderator,
            )

    async def plan_reversals(self, board_id: str, award_filter: AwardFilter) -> ReversalPlan:
        """Return what taking back all awards of a filter would change.

        Raises:
            BoardNotFoundError, InvalidRequestError: there is no such board, or the filter selects too much.
        """
        async with _translated(_CORRECTIONS + "ReverseAwards"):
            return await self._client.plan_reversals(board_id=board_id, award_filter=award_filter)

    async def apply_reversals(self, moderator: str, plan: ReversalPlan, *, reason: str) -> Progress:
        """Take back the awards of a plan, as far as that goes in a few seconds; asked again, it goes on.

        Raises:
            PlanStaleError: the board has changed since.
        """
        done = 0

        def note(count: int) -> None:
            nonlocal done
            done = count

        async with _translated(_CORRECTIONS + "ReverseAwards"):
            try:
                async with asyncio.timeout(self._apply_seconds):
                    done = await self._client.apply_reversals(
                        plan, reason=reason, on_behalf_of=moderator, on_progress=note
                    )
            except TimeoutError:
                return Progress(done, done=False)
        return Progress(done, done=True)

    async def set_visibility(
        self, moderator: str, board_id: str, user_id: str, visibility: Visibility, *, reason: str
    ) -> VisibilityResult:
        """Set who may see a user on a board. Raises StandingNotFoundError, BoardNotFoundError."""
        async with _translated(_CORRECTIONS + "SetUserVisibility"):
            return await self._client.set_user_visibility(
                board_id=board_id,
                user_id=user_id,
                visibility=visibility,
                reason=reason,
                on_behalf_of=moderator,
            )

    async def list_suspicions(self, limit: int) -> list[Suspected]:
        """List what there is to suspect, the newest first."""
        return await self._store.suspicions.list(limit=limit)

    async def dismiss_suspicion(self, user_id: str, signal: str, *, last_at: datetime) -> None:
        """Forget a suspicion as it was seen. If there is more of it since, it stays."""
        dismissed = await self._store.suspicions.dismiss(user_id, signal, last_at=last_at)
        _log.info("suspicion_dismissed", suspect=user_id, signal=signal, dismissed=dismissed)

    async def _find_places(self, user_id: str) -> tuple[Place, ...]:
        places = []
        for board_id in await self.list_boards():
            try:
                view = await self._client.batch_get_standings(board_id=board_id, user_ids=[user_id])
            except score.BoardNotFoundError:
                continue
            places += [Place(board_id, standing) for standing in view.standings if standing.total]
        return tuple(places)

    async def _has_history(self, user_id: str) -> bool:
        """Return whether a user ever had an award, though all of them may have been taken back."""
        for board_id in await self.list_boards():
            with suppress(errors.BoardNotFoundError):
                if (await self.list_awards(board_id, user_id, page_size=1, page_token="")).awards:
                    return True
        return False


@asynccontextmanager
async def _translated(method: str) -> AsyncIterator[None]:
    """Raise what a failure of the call means for a moderator."""
    try:
        yield
    except score.AwardReversedError as error:
        raise errors.AwardReversedError(error.reversal) from error
    except score.HistoryArchivedError as error:
        raise errors.AwardArchivedError from error
    except score.AwardNotFoundError as error:
        raise errors.AwardNotFoundError from error
    except score.StandingNotFoundError as error:
        raise errors.StandingNotFoundError from error
    except score.BoardNotFoundError as error:
        raise errors.BoardNotFoundError from error
    except score.PlanStaleError as error:
        raise errors.PlanStaleError from error
    except score.ScoreClientError as error:
        raise errors.translate_denial(error, method) from error
