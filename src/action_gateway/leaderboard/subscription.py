"""What was sent of the leaderboard on one socket or stream, and what is new since.

A subscription remembers states, not events: however slowly its client reads, what waits for it is one
leaderboard and one score, the newest of each. Two of its messages never carry the same award.
"""

import asyncio
from dataclasses import dataclass, field

from action_gateway.domain.entries import is_same, is_shown_alike
from action_gateway.domain.messages import (
    Message,
    Top,
    find_changes,
    make_initial,
    make_period,
    make_score,
    make_update,
)
from action_gateway.domain.periods import ShownPeriod
from action_gateway.errors import GatewayError
from action_gateway.leaderboard.board_reader import no_standing
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
    period: ShownPeriod | None = None
    """What is shown; None for all time."""


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
        self._known_at = 0
        self._sent_me: Standing | None = None
        self._sent_top = board.top
        self._sent_period = board.period
        self._error: GatewayError | None = None
        self._woken = asyncio.Event()

    def offer(self, standing: Standing, revision: int) -> bool:
        """Take the user's standing at a revision of the board; tell whether it is news.

        A total may fall again, so it is the revision of the board that tells which standing is newer.
        """
        if self._me is not None and revision <= self._known_at:
            return False
        self._known_at = revision
        if self._me is not None and is_same(self._me, standing):
            return False
        self._me = standing
        return True

    def replace(self, standing: Standing | None, revision: int) -> None:
        """Take the standing in a history that does not continue the one known; None if it comes later."""
        self._me = standing
        self._known_at = revision
        if self._sent_me is not None and standing is not None and is_shown_alike(self._sent_me, standing):
            self._sent_me = standing

    def end(self, error: GatewayError) -> None:
        """Let `news` raise an error from here on."""
        self._error = error
        self.wake()

    def wake(self) -> None:
        """Let `news` look for something new."""
        self._woken.set()

    def miss(self, standing: Standing, revision: int) -> None:
        """Take a standing that the user had at a revision after the position to resume from."""
        me, scored = self._me, self._scored
        # A score that the board has yet to show will be news by itself.
        if (
            me is not None
            and not scored
            and (revision <= self._known_at or standing.reached_revision <= me.reached_revision)
        ):
            self._sent_me = None
            self.wake()

    def settle(self) -> None:
        """Note that there is no more to `miss`."""
        self._settled = True

    def begin(self, standing: Standing, revision: int) -> News:
        """Start from the board as it is, and the user's standing at a revision that the board has reached."""
        self.offer(standing, revision)
        return self._say((self._make_initial(),))

    async def news(self) -> News:
        """Wait until something is new, and count it as sent. Raises the error that it ends with."""
        while True:
            await self._woken.wait()
            if self._error is not None:
                raise self._error
            self._woken.clear()
            if messages := self._take():
                return self._say(messages)

    def _say(self, messages: tuple[Message, ...]) -> News:
        return News(messages, self._board.position if self._settled else None)

    def _make_initial(self) -> Message:
        board, me = self._board, self._me
        self._sent_period, self._sent_top, self._sent_me = board.period, board.top, me
        return make_initial(board.top, me or no_standing(self.user_id), board.revision, board.period)

    def _take(self) -> tuple[Message, ...]:
        if self._sent_period != self._board.period:
            return make_period(self._board.period, self._board.revision), self._make_initial()
        sent, top, me = self._sent_top, self._board.top, self._me
        messages = []
        if sent is not top and find_changes(sent, top):
            messages.append(make_update(sent, top, self._board.revision))
        if me is not None and me is not self._sent_me:
            messages.append(make_score(me, self._board.revision))
            self._scored = True
        self._sent_top, self._sent_me = top, me
        return tuple(messages)
