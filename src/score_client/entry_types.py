"""The entries of a board's ledger, as plain immutable values. Instants are in UTC."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from score_client.types import BoardView, Period, RecordedAward, Reversal, Visibility


class EntryKind(StrEnum):
    """What an entry is."""

    AWARD = "award"
    """Points for a user."""
    REVERSAL = "reversal"
    """An award was taken back."""
    VISIBILITY = "visibility"
    """A user was hidden or shown."""
    PERIOD_CLOSED = "period_closed"
    """The result of a period is final."""
    SETTINGS = "settings"
    """The board got other settings."""
    ARCHIVED = "archived"
    """Old awards were archived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibilityChange:
    """Who may see a user from an entry on.

    Attributes:
        user_id: The user.
        visibility: Who may see the user.
        reason: Why.
        actor: The SPIFFE id of the service that asked for it.
        on_behalf_of: For whom it did so; empty if for itself.
        recorded_at: When.
    """

    user_id: str
    visibility: Visibility
    reason: str
    actor: str
    on_behalf_of: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodClosed:
    """A period whose result is final.

    Attributes:
        period: The period.
        digest: SHA-256 of its final standings.
        final_revision: The revision of the board at which the standings were final.
        recorded_at: When it was recorded.
    """

    period: Period
    digest: bytes
    final_revision: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsChange:
    """What the settings of a board are from an entry on.

    Attributes:
        board: The settings.
        actor: Who set them: the SPIFFE id of a service, or a command.
        recorded_at: When.
    """

    board: BoardView
    actor: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerArchived:
    """Awards that were archived: the service does not answer for them any more, but that they were made.

    Attributes:
        archived_revision: The awards up to this revision are archived.
        archived_position: The position of the same. A feed can be read from here on.
        awards: How many awards the ledger had up to there.
        actor: Who archived them: a command.
        recorded_at: When.
    """

    archived_revision: int
    archived_position: str
    awards: int
    actor: str
    recorded_at: datetime


EntryContent = RecordedAward | Reversal | VisibilityChange | PeriodClosed | SettingsChange | LedgerArchived


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry of a board's ledger.

    Attributes:
        kind: What it is.
        revision: Its number on the board. Entries of all kinds together have every number from 1 on.
        position: Where to go on once it has been handled. Opaque.
        content: What it says.
    """

    kind: EntryKind
    revision: int
    position: str
    content: EntryContent
