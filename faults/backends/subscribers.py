"""Subscribers: they read the ledgers of boards as feeds, leave and resume."""

import asyncio
import random
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from faults.model.history import Fed, FeedArchived, FeedBegun, FeedLost, History
from score_client import (
    BoardNotFoundError,
    Entry,
    HistoryArchivedError,
    NotAuthenticatedError,
    PeriodClosed,
    PositionUnknownError,
    RecordedAward,
    Reversal,
    ScoreClient,
    VisibilityChange,
)

_PAUSE: Final = 0.5
_ANEW: Final = 0.2
"""How likely it is that one who comes back begins anew."""


@dataclass(slots=True)
class Subscriber:
    """One reader of the feed of a board, which keeps the position of the last entry that it got."""

    name: str
    board_id: str
    client: ScoreClient = field(repr=False)
    history: History = field(repr=False)
    randomness: random.Random = field(repr=False)
    stay_seconds: float
    """How long it stays, on average."""
    position: str = ""
    _is_to_remain: bool = False

    def remain(self) -> None:
        """Begin no more anew."""
        self._is_to_remain = True

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            try:
                async with asyncio.timeout(self.randomness.expovariate(1 / self.stay_seconds)):
                    await self._read()
            except PositionUnknownError:
                lost = FeedLost(
                    reader=self.name, board_id=self.board_id, at=time.monotonic(), position=self.position
                )
                self.history.add(lost)
                self.position = ""
            except HistoryArchivedError as error:
                self._skip(error.archived_position)
            except (BoardNotFoundError, NotAuthenticatedError, TimeoutError):
                pass
            await asyncio.sleep(self.randomness.random() * _PAUSE)
            if self.randomness.random() < _ANEW and not self._is_to_remain:
                self.history.add(FeedBegun(reader=self.name, board_id=self.board_id, at=time.monotonic()))
                self.position = ""

    async def _read(self) -> None:
        entries = self.client.entries(board_id=self.board_id, after_position=self.position)
        async with aclosing(entries) as reading:
            async for entry in reading:
                self._take(entry)

    def _skip(self, archived_position: str) -> None:
        """Go on after what is archived."""
        archived = FeedArchived(
            reader=self.name,
            board_id=self.board_id,
            at=time.monotonic(),
            after=self.position,
            position=archived_position,
        )
        self.history.add(archived)
        self.position = archived_position

    def _take(self, entry: Entry) -> None:
        fed = Fed(
            reader=self.name,
            board_id=self.board_id,
            at=time.monotonic(),
            revision=entry.revision,
            position=entry.position,
            kind=entry.kind.value,
            subject=_subject(entry),
        )
        self.history.add(fed)
        self.position = entry.position


def _subject(entry: Entry) -> str:
    match entry.content:
        case RecordedAward(award_id=award_id):
            return str(award_id)
        case Reversal(reversal_id=reversal_id):
            return str(reversal_id)
        case VisibilityChange(user_id=user_id, visibility=visibility):
            return f"{user_id} {visibility.value}"
        case PeriodClosed(period=period):
            return period.period_id
        case _:
            return ""
