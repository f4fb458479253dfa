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
from collections.abc import Sequence
from typing import Final

from score_service.domain.checkpoint import Checkpoint
from score_service.domain.position import Position
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
    """The board itself is further than this generation was brought."""
    LOST = "lost"
    """Redis does not have what was loaded, or not all of it, or another maker has taken it over."""


class Generation:
    """The keys of a new generation.

    Every method raises `ProjectionUnavailableError` where Redis is unavailable, and may be called again then.
    """

    def __init__(
        self, cache: Cache, name: str, keys: list[str], replaced: str, former_keys: list[str]
    ) -> None:
        """Take its header, ranks, totals and progress, and which generation it takes the place of.

        Args:
            cache: runs the scripts.
            name: of this generation.
            keys: header, ranks, totals, progress, and where it is said which generation is being made.
            replaced: the name of the generation in the header, empty where there is no header.
            former_keys: ranks and totals to remove once they are replaced.
        """
        self.name = name
        self.checkpoint: Checkpoint | None = None
        """Of the last step; None before the first."""
        self._cache = cache
        self._keys = keys
        self._replaced = replaced
        self._former_keys = former_keys
        self._steps = 0

    async def adopt(self, other: str, keys: Sequence[str]) -> bool:
        """Take over what was loaded into another generation, and tell whether that was done.

        Args:
            other: the name of the generation that is being made.
            keys: its ranks, totals and progress.
        """
        call = ScriptCall([*self._keys, *keys], [self.name, other])
        reply = await self._cache.run("adopt_generation", call)
        if not reply:
            return False
        steps, checkpoint = reply
        self._steps, self.checkpoint = int(steps), Checkpoint.parse(checkpoint)
        return self.checkpoint is not None

    async def load(self, lines: str, checkpoint: Checkpoint, *, are_new: bool = False) -> bool:
        """Set standings, given as lines of `user_id total reached_revision`; of each user the newest stays.

        Args:
            lines: the standings.
            checkpoint: from where to go on after this step.
            are_new: none of their users was loaded before, so there is nothing to compare them with.

        Returns:
            Whether all that was loaded before is still there. If not, this generation is of no use.
        """
        step = [self.name, str(self._steps + 1), str(SECONDS_TO_LIVE)]
        arguments = [*step, lines, "new" if are_new else "", str(checkpoint)]
        if await self._cache.run("load_standings", ScriptCall(self._keys, arguments)) != "loaded":
            return False
        self._steps += 1
        self.checkpoint = checkpoint
        return True

    async def keep(self) -> None:
        """Let what was loaded live on, and others leave the board to this maker, as a step does."""
        await self._cache.run("keep_generation", ScriptCall(self._keys, [self.name, str(SECONDS_TO_LIVE)]))

    async def switch(self, position: Position, members: int) -> Switched:
        """Make this the board's generation, at a position where the record has so many members."""
        arguments = [
            self.name,
            str(position.revision),
            position.mark,
            str(members),
            str(self._steps),
            self._replaced,
        ]
        call = ScriptCall([*self._keys, *self._former_keys], arguments)
        return Switched(await self._cache.run("switch_generation", call))

    async def discard(self) -> None:
        """Remove what was loaded, unless it is the board's by now."""
        await self._cache.run("discard_generation", ScriptCall(self._keys, [self.name]))
