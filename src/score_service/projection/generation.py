"""A generation of a board's projection that is being made, beside the one that is read.

Invariants:
- Nobody reads it before the switch, which compares and sets the board's header.
- Until then its keys live for two minutes after the last step or sign of life. Whatever becomes of its maker,
  another one may go on from the last step, and otherwise they go.
- The steps are counted in Redis, so a step may be made again where its outcome is unknown. Where Redis has
  lost one, the next step or the switch says so; the same where another maker has taken the generation over.
- While it is being loaded, Redis says so, so that others leave the work to its maker. That only spares work:
  two that do not see each other do no harm.
"""

import enum
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.position import Position
from score_service.domain.standings.checkpoint import Checkpoint
from score_service.projection.keys import Keys
from score_service.projection.replies import Headcount, Seen
from score_service.projection.scripts import Cache, ScriptCall

SECONDS_TO_LIVE: Final = 120
SECONDS_ALONE: Final = 2
"""For which others leave a board to the maker of a generation after its last step or sign of life."""


class Switched(enum.Enum):
    """What became of a switch."""

    DONE = "switched"
    MOVED = "moved"
    """The board has another generation than the one that was seen."""
    BEHIND = "behind"
    """The board itself is further than this generation was brought, or has a period that was not given."""
    LOST = "lost"
    """Redis does not have what was loaded, or not all of it, or another maker has taken it over."""


class Source(enum.Enum):
    """What lines of standings are, and how much there is to be compared with them."""

    LEDGER = ""
    """What changed on the way to some revision."""
    PAGE = "page"
    """All that there is of their users."""
    NEW_PAGE = "new"
    """The same, and none of their users was loaded before."""


class Generation:
    """The keys of a new generation.

    Every method raises `ProjectionUnavailableError` where Redis is unavailable, and may be called again then.
    """

    def __init__(
        self, cache: Cache, keys: Keys, board_id: str, name: str, replaced: str, former: Seen
    ) -> None:
        """Take which generation it takes the place of.

        Args:
            cache: runs the scripts.
            keys: the names of keys.
            board_id: the board.
            name: of this generation.
            replaced: the name of the generation in the header, empty where there is no header.
            former: whose keys are removed once this generation is switched in.
        """
        self.name = name
        self.checkpoint: Checkpoint | None = None
        """Of the last step; None before the first."""
        self._cache = cache
        self._keys = keys
        self._board_id = board_id
        self._replaced = replaced
        self._former = former
        self._steps = 0
        self._periods: tuple[str, ...] = ()
        """What it has standings of, besides those of all time."""

    async def adopt(self, other: str) -> bool:
        """Take over what was loaded into another generation, and tell whether that was done.

        Args:
            other: the name of the generation that is being made.
        """
        progress = self._keys.progress(self._board_id, other)
        periods = str(await self._cache.run("get_progress", ScriptCall([progress], [])))
        period_ids = tuple(periods.split())
        keys = [
            *self._keys.of_board(self._board_id, self.name, period_ids),
            *self._keys.of_generation(self._board_id, other, period_ids),
            progress,
            *self._keys_of_making(),
        ]
        reply = await self._cache.run("adopt_generation", ScriptCall(keys, [self.name, other, periods]))
        if not reply:
            return False
        steps, checkpoint = reply
        self._steps, self._periods, self.checkpoint = int(steps), period_ids, Checkpoint.parse(checkpoint)
        return self.checkpoint is not None

    async def load(
        self,
        lines: Mapping[str, str],
        checkpoint: Checkpoint,
        *,
        finished: Collection[str] = (),
        source: Source = Source.LEDGER,
    ) -> bool:
        """Set standings, given as lines of `user_id total reached_revision[ version[ flag]]`.

        Of each user the newest stays. The flag is that of a visibility. Without one, a line of the ledger
        leaves the user as it is of all time, and the user of any other line is visible.

        Args:
            lines: the standings of all time and of periods, by the ids of these.
            checkpoint: from where to go on after this step.
            finished: periods that became final. What was loaded of them is removed.
            source: what the lines are.

        Returns:
            Whether all that was loaded before is still there. If not, this generation is of no use.
        """
        loaded = [period_id for period_id, text in lines.items() if text and period_id != ALL_TIME]
        there = dict.fromkeys((*self._periods, *loaded))
        periods = tuple(period_id for period_id in there if period_id not in finished)
        removed = (period_id for period_id in there if period_id in finished)
        arguments = [
            self.name,
            " ".join(periods),
            str(self._steps + 1),
            str(SECONDS_TO_LIVE),
            source.value,
            str(checkpoint),
            *(lines.get(period_id, "") for period_id in (ALL_TIME, *periods)),
        ]
        call = ScriptCall(self._keys_with((*periods, *removed)), arguments)
        if await self._cache.run("load_standings", call) != "loaded":
            return False
        self._steps += 1
        self._periods = periods
        self.checkpoint = checkpoint
        return True

    async def keep(self) -> None:
        """Let what was loaded live on, and others leave the board to this maker, as a step does."""
        call = ScriptCall(self._keys_with(self._periods), [self.name, str(SECONDS_TO_LIVE)])
        await self._cache.run("keep_generation", call)

    async def switch(
        self, position: Position, counts: Mapping[str, Headcount], former_periods: Iterable[str] = ()
    ) -> Switched:
        """Make this the board's generation.

        Args:
            position: where the record has so many standings.
            counts: of all time, and of each period that the board has there, by the ids of these.
            former_periods: the periods that the board has until then.
        """
        periods = [period_id for period_id in counts if period_id != ALL_TIME]
        formers = list(dict.fromkeys((*former_periods, *self._former.periods, *periods)))
        keys = [
            *self._keys.of_board(self._board_id, self.name, periods),
            *self._keys.of_generation(self._board_id, self._former.generation, formers),
            *self._keys_of_making(),
        ]
        arguments = [
            self.name,
            " ".join(f"{period_id}={counts[period_id]}" for period_id in periods),
            *(str(position.revision), position.mark),
            *map(str, tuple(counts[ALL_TIME])),
            str(self._steps),
            self._replaced,
            " ".join(formers),
        ]
        return Switched(await self._cache.run("switch_generation", ScriptCall(keys, arguments)))

    async def discard(self) -> None:
        """Remove what was loaded, unless it is the board's by now."""
        await self._cache.run("discard_generation", ScriptCall(self._keys_with(self._periods), [self.name]))

    def _keys_with(self, period_ids: Iterable[str]) -> list[str]:
        """Return header, the keys of standings, progress, and where it is said which one is being made."""
        return [*self._keys.of_board(self._board_id, self.name, period_ids), *self._keys_of_making()]

    def _keys_of_making(self) -> tuple[str, str]:
        return self._keys.progress(self._board_id, self.name), self._keys.making(self._board_id)
