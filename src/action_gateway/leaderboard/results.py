"""The results of the periods of a board, as the score service lists them.

When a period ends, every page that is open asks for the same list. It is read once a second at most for each
kind and length, and who asks meanwhile shares it.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

import structlog

from score_client.errors import BoardNotFoundError, NotAllowedError, ScoreClientError
from score_client.types import PeriodKind, PeriodResult, PeriodsView

PODIUM: Final = 3
"""Winners of each period."""
_KEPT_SECONDS: Final = 1.0

_Question = tuple[PeriodKind | None, int]
_log = structlog.get_logger(__name__)


class ResultSource(Protocol):
    """What is needed of `ScoreClient`."""

    async def list_periods(
        self, *, board_id: str, kind: PeriodKind | None, winners: int, page_size: int
    ) -> PeriodsView:
        """Read a page of periods, the last to end first."""


class Results:
    """The results of one board."""

    def __init__(self, source: ResultSource, board_id: str) -> None:
        self._source = source
        self._board_id = board_id
        self._readings: dict[_Question, asyncio.Task[Sequence[PeriodResult]]] = {}

    async def list_results(self, kind: PeriodKind | None, limit: int) -> Sequence[PeriodResult]:
        """Return so many periods of a kind, or of all, the last to end first, each with its podium.

        There are none where the score service does not list them. Raises a ScoreClientError where that fails.
        """
        question = kind, limit
        reading = self._readings.get(question)
        if reading is None:
            reading = self._readings[question] = asyncio.create_task(self._read(kind, limit))
            reading.add_done_callback(lambda _: self._keep(question))
        # Who gives up only stops waiting.
        return await asyncio.shield(reading)

    def _keep(self, question: _Question) -> None:
        """Let an answer go after a while, and a failure at once."""
        reading = self._readings[question]
        if reading.cancelled() or reading.exception() is not None:
            del self._readings[question]
        else:
            asyncio.get_running_loop().call_later(_KEPT_SECONDS, self._readings.pop, question)

    async def _read(self, kind: PeriodKind | None, limit: int) -> Sequence[PeriodResult]:
        try:
            view = await self._source.list_periods(
                board_id=self._board_id, kind=kind, winners=PODIUM, page_size=limit
            )
        except BoardNotFoundError:
            return ()
        except ScoreClientError as error:
            if not _is_missing(error):
                raise
            _log.warning("periods_not_listed", reason=error.reason)
            return ()
        return view.results


def _is_missing(error: ScoreClientError) -> bool:
    """Return whether the score service does not allow the call, or its version has none such."""
    return isinstance(error, NotAllowedError) or error.reason == "UNIMPLEMENTED"
