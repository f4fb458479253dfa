"""What one socket or stream was told of the leaderboard, and what is new to it.

A subscription remembers states, not events: however slowly its client reads, what waits for it is one
leaderboard and one score, the newest of each. Two of its messages never carry the same award.
"""

import asyncio
from dataclasses import dataclass, field

from action_gateway.domain.messages import (
    Message,
    Top,
    find_changes,
    tell_initial,
    tell_score,
    tell_update,
)
from score_client.types import Standing


@dataclass(slots=True)
class Board:
    """Where the leaderboard stands; the feed alone changes it, and all of it at once."""

    top: Top = field(default_factory=Top)
    revision: int = 0
    position: str | None = None
    """None while there is no position to resume from."""
    history: int = 0
    """Counts the times the board could not be resumed; revisions compare only within one of them."""


@dataclass(frozen=True, slots=True)
class News:
    """Messages to send now. All of them hold at one revision."""

    messages: tuple[Message, ...]
    position: str | None
    """The position to resume from; None on an empty board, and until all that was missed is known."""


class Subscription:
    """One client's view of the board: `begin` it once, then `await news()` again and again.

    One that resumes from a position receives what it missed since, as soon as that is found: the feed then
    has to `settle` it.
    """

    def __init__(self, user_id: str, board: Board, after_position: str | None = None) -> None:
        self.user_id = user_id
        self.after_position = after_position
        self._board = board
        self._settled = after_position is None
        self._scored = False
        self._me: Standing | None = None
        self._told_me: Standing | None = None
        self._told_top = board.top
        self._woken = asyncio.Event()

    def offer(self, standing: Standing) -> bool:
        """Take a standing of the user; tell whether it is newer than the one known."""
        if self._me is not None and standing.reached_revision <= self._me.reached_revision:
            return False
        self._me = standing
        return True

    def replace(self, standing: Standing | None) -> None:
        """Take the standing in a history that does not continue the one known; None if it comes later."""
        self._me = standing
        if self._told_me is not None and standing is not None and self._told_me.total == standing.total:
            self._told_me = standing

    def wake(self) -> None:
        """Let `news` look for something new."""
        self._woken.set()

    def miss(self, standing: Standing) -> None:
        """Take a standing that the user reached after the position to resume from."""
        me, scored = self._me, self._scored
        # A score that the board has yet to show will be news by itself.
        if me is not None and not scored and standing.reached_revision <= me.reached_revision:
            self._told_me = None
            self.wake()

    def settle(self) -> None:
        """Note that there is no more to `miss`."""
        self._settled = True

    def begin(self, standing: Standing) -> News:
        """Start from the board as it is, and the user's standing, which was read since and is not ahead."""
        self.offer(standing)
        self._told_top, self._told_me = self._board.top, self._me
        initial = tell_initial(self._board.top, self._me or standing, self._board.revision)
        return self._say((initial,))

    async def news(self) -> News:
        """Wait until something is new, and count it as told."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            if messages := self._take():
                return self._say(messages)

    def _say(self, messages: tuple[Message, ...]) -> News:
        return News(messages, self._board.position if self._settled else None)

    def _take(self) -> tuple[Message, ...]:
        told, top, me = self._told_top, self._board.top, self._me
        messages = []
        if told is not top and find_changes(told, top):
            messages.append(tell_update(told, top, self._board.revision))
        if me is not None and me is not self._told_me:
            messages.append(tell_score(me, self._board.revision))
            self._scored = True
        self._told_top, self._told_me = top, me
        return tuple(messages)
