"""Leaving, and taking along what is known of one.

An account is deleted in one transaction, which the password allows. The ledger of the score service keeps the
points under an id that nothing says the owner of any more.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, Self

from action_gateway.accounts.departed import Departed
from action_gateway.accounts.freed_names import FreedNames
from action_gateway.accounts.passwords import Passwords
from action_gateway.domain.clock import Clock
from action_gateway.errors import (
    BadCredentialsError,
    InvalidRequestError,
    UnauthenticatedError,
    translate_denial,
)
from action_gateway.limits.limits import Limits
from action_gateway.settings import DatabaseSettings
from action_gateway.store.store import AccountDetails, OpenSession, Store, User
from score_client.errors import BoardNotFoundError, ScoreClientError
from score_client.errors import InvalidRequestError as BadPageTokenError
from score_client.types import AwardsView, RecordedAward

_AWARDS_A_CALL: Final = 1_000
_AWARDS_MAX: Final = 5_000
"""Awards of an export. The rest is on its next page."""
_LIST_AWARDS: Final = "score_api.v1.LedgerService/ListAwards"
_SESSIONS_MAX: Final = 1_000
_UNDER_WAY_SECONDS: Final = 60
"""How long a request may go on that was begun with a good token. All its parts have shorter limits."""
_SEPARATOR: Final = "/"
"""Between a board and the token of a page. It stands in no id of a board."""


class AwardSource(Protocol):
    """What is needed of `ScoreClient`."""

    async def list_awards(
        self, *, board_id: str, user_id: str, page_size: int, page_token: str
    ) -> AwardsView:
        """Read a page of the awards of a user, newest first."""


@dataclass(frozen=True, slots=True)
class DeletionRules:
    """What becomes of those who leave."""

    hides: bool
    """They are hidden on every board, instead of being shown as former players."""
    settled_after: timedelta
    """After that nothing that they had begun can still be under way."""

    @classmethod
    def of(cls, settings: DatabaseSettings) -> Self:
        """Take the settings."""
        settled_after = timedelta(seconds=settings.access_token_seconds + _UNDER_WAY_SECONDS)
        return cls(hides=settings.former_players == "hidden", settled_after=settled_after)


@dataclass(frozen=True, slots=True)
class ExportedAward:
    """An award, and the board that it is on."""

    board_id: str
    award: RecordedAward


@dataclass(frozen=True, slots=True, repr=False)
class Export:
    """What is known of a user."""

    account: AccountDetails
    sessions: list[OpenSession]
    awards: list[ExportedAward]
    """By board, newest first."""
    archived_boards: list[str]
    """Those of the boards that were read of which older awards are archived, and not here."""
    next_page_token: str
    """Where the next awards start; empty on the last page."""


class Accounts:
    """The commands around an account. Where PostgreSQL is unavailable, all raise UnavailableError."""

    def __init__(  # noqa: PLR0913 - the parts, all by name
        self,
        *,
        store: Store,
        passwords: Passwords,
        limits: Limits,
        freed_names: FreedNames,
        departed: Departed,
        awards: AwardSource,
        rules: DeletionRules,
        board_id: str,
        clock: Clock,
    ) -> None:
        """Take the board that actions without one pay to."""
        self._store = store
        self._passwords = passwords
        self._limits = limits
        self._freed_names = freed_names
        self._departed = departed
        self._awards = awards
        self._rules = rules
        self._board_id = board_id
        self._clock = clock

    async def delete(self, user_id: str, password: str, *, address: str) -> None:
        """Delete an account. For one that was deleted before, nothing is left to be done.

        Raises:
            BadCredentialsError: it is another password.
            RateLimitedError: too many passwords were tried for this user from this address.
            UnauthenticatedError: there was never such an account.
        """
        account = await self._store.get_account(user_id)
        if account is None:
            if not await self._store.departures.has_departed(user_id):
                raise UnauthenticatedError
            return
        await self._limits.log_in(address, account.user.username)
        if not (await self._passwords.verify(account.password_hash, password)).right:
            raise BadCredentialsError(user_id)
        await delete_account(self._store, self._freed_names, account.user, self._rules)
        self._departed.add([user_id])

    async def export(self, user_id: str, page_token: str = "") -> Export:
        """Return what is known of a user.

        Raises:
            InvalidRequestError: it is not the token of a page.
            RateLimitedError: the user has asked too often.
            UnauthenticatedError: there is no such account any more.
            UnavailableError, ScoreServiceDeniedError: the awards cannot be read.
        """
        await self._limits.export(user_id)
        account = await self._store.get_account(user_id)
        if account is None:
            raise UnauthenticatedError
        now = datetime.fromtimestamp(self._clock(), UTC)
        sessions = await self._store.list_sessions(user_id, now=now, limit=_SESSIONS_MAX)
        return Export(account, sessions, *await self._read_awards(user_id, page_token))

    async def _read_awards(self, user_id: str, page_token: str) -> tuple[list[ExportedAward], list[str], str]:
        boards = sorted({self._board_id, *await self._store.list_boards()})
        first, _, token = page_token.partition(_SEPARATOR)
        if page_token and (first not in boards or not token):
            raise _bad_token()
        awards: list[ExportedAward] = []
        archived: list[str] = []
        for board_id in boards[boards.index(first) :] if first else boards:
            while True:
                view = await self._read_page(board_id, user_id, token)
                awards += [ExportedAward(board_id, award) for award in view.awards]
                token = view.next_page_token
                if token and len(awards) >= _AWARDS_MAX:
                    return awards, archived, f"{board_id}{_SEPARATOR}{token}"
                if not token:
                    break
            if view.archived_revision:
                archived.append(board_id)
        return awards, archived, ""

    async def _read_page(self, board_id: str, user_id: str, page_token: str) -> AwardsView:
        try:
            return await self._awards.list_awards(
                board_id=board_id, user_id=user_id, page_size=_AWARDS_A_CALL, page_token=page_token
            )
        except BoardNotFoundError:
            return AwardsView(awards=(), next_page_token="")
        except BadPageTokenError:
            # Nothing else in the request comes from outside.
            raise _bad_token() from None
        except ScoreClientError as error:
            raise translate_denial(error, _LIST_AWARDS) from error


async def delete_account(store: Store, freed_names: FreedNames, user: User, rules: DeletionRules) -> bool:
    """Delete an account. False if it is gone already."""
    return await store.departures.delete_account(
        user.user_id,
        name_hash=freed_names.hash(user.username),
        free_at=freed_names.free_at(),
        hides=rules.hides,
        settled_after=rules.settled_after,
    )


def _bad_token() -> InvalidRequestError:
    return InvalidRequestError({"pageToken": "is not the token of a page"})
