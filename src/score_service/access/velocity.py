"""Who gets points far faster than the others on the same board. Pure: the clock is the caller's.

The points of a user in the last window are estimated from those of the window that began with one of the
user's awards, and those of the one before, which counts less the longer it is over:

    recent = current + previous * (1 - elapsed / window)

That is the sliding-window counter of rate limiters (Cloudflare, "How we built rate limiting capable of
scaling to millions of domains", 2017): two numbers a user, and right where awards come evenly.

It is out of the ordinary where it is above a floor, and above a multiple of what is typical on the board: the
median of the last finished windows of the 64 users who finished one most recently. Each user is one sample of
it, so a bot that gets a thousand awards moves it no more than a player who gets one. A median stands until
half of the samples are false (its breakdown point: Hampel, 1971). Where fewer than ten users have a sample
nothing is typical, and the floor alone decides; but not in the first three windows of a board, after which
all users that get points in each have one.

Memory is bounded: who got no points for longest is forgotten first, and so are boards, with what is typical
of them. Those who get points often stay.
"""

from collections import OrderedDict
from math import ceil
from statistics import median
from typing import Final, NamedTuple

SAMPLES_MAX: Final = 64
"""Users whose last finished windows say what is typical of a board."""
SAMPLES_MIN: Final = 10
"""With fewer, nothing is typical."""
_SAMPLES_RENEWED: Final = 16
"""Of new ones, to ask again what is typical."""
BOARDS_MAX: Final = 1_000
"""Of more that get awards by turns, each is forgotten before it is known, and nothing is reported."""
WARM_UP_WINDOWS: Final = 3


class Surge(NamedTuple):
    """Points of one user that are out of the ordinary."""

    points: int
    """In the last window, rounded up: always above the floor."""
    typical: float | None
    """Of the users of the board; None where too few are known."""


class Velocity:
    """The points that users got lately, by board. Not for more than one thread."""

    def __init__(
        self, *, floor: float, multiple: float, window: float = 60.0, users_max: int = 20_000
    ) -> None:
        """Take when points are out of the ordinary.

        Args:
            floor: Points in a window up to which nothing is.
            multiple: Up to how many times what is typical nothing is.
            window: Seconds.
            users_max: Users of all boards that are remembered. Each takes about 0.4 KB.
        """
        self._floor = floor
        self._multiple = multiple
        self._window = window
        self._users_max = users_max
        self._paces: OrderedDict[tuple[str, str], _Pace] = OrderedDict()
        self._boards: OrderedDict[str, _Board] = OrderedDict()

    def note(self, board_id: str, user_id: str, points: int, now: float) -> Surge | None:
        """Take in an award made now. Report a surge as it begins, at most once a user and window."""
        key = board_id, user_id
        pace = self._paces.get(key)
        if pace is None:
            pace = self._add(key, now)
        else:
            self._paces.move_to_end(key)
            if not 0.0 <= now - pace.began < self._window:
                self._turn(key, pace, now)
        pace.current += points
        if pace.is_told or pace.current + pace.previous <= self._floor:
            return None  # As with nearly every award.
        return self._judge(self._board(board_id, now), pace, now)

    def _add(self, key: tuple[str, str], now: float) -> "_Pace":
        if len(self._paces) == self._users_max:
            self._paces.popitem(last=False)
        self._board(key[0], now)
        pace = self._paces[key] = _Pace(now)
        return pace

    def _turn(self, key: tuple[str, str], pace: "_Pace", now: float) -> None:
        """Begin the next window of a user. Where the clock has stepped back, the one at hand begins anew."""
        elapsed = now - pace.began
        if elapsed < 0:
            pace.began = now
            return
        board_id, user_id = key
        self._board(board_id, now).add_sample(user_id, pace.current)
        follows = elapsed < 2 * self._window
        pace.previous = pace.current if follows else 0
        pace.began = pace.began + self._window if follows else now
        pace.current, pace.is_told = 0, False

    def _judge(self, board: "_Board", pace: "_Pace", now: float) -> Surge | None:
        recent = pace.current + pace.previous * (1.0 - (now - pace.began) / self._window)
        typical = board.find_typical()
        is_new = typical is None and now - board.known_since < WARM_UP_WINDOWS * self._window
        if is_new or recent <= max(self._floor, self._multiple * (typical or 0)):
            return None
        pace.is_told = True
        return Surge(ceil(recent), typical)

    def _board(self, board_id: str, now: float) -> "_Board":
        board = self._boards.get(board_id)
        if board is None:
            if len(self._boards) == BOARDS_MAX:
                self._boards.popitem(last=False)
            board = self._boards[board_id] = _Board(now)
        self._boards.move_to_end(board_id)
        return board


class _Pace:
    """The points of one user on one board, in two windows."""

    __slots__ = ("began", "current", "is_told", "previous")

    def __init__(self, began: float) -> None:
        self.began = began
        self.current = 0
        self.previous = 0
        self.is_told = False
        """Whether the surge in this window was reported."""


class _Board:
    """What is typical of one board."""

    __slots__ = ("_added", "_samples", "_typical", "known_since")

    def __init__(self, known_since: float) -> None:
        self.known_since = known_since
        self._samples: OrderedDict[str, int] = OrderedDict()
        """The points of the last finished window, by user; who finished last is last."""
        self._typical: float | None = None
        self._added = 0
        """Samples since that was found."""

    def add_sample(self, user_id: str, points: int) -> None:
        """Take in a window that is finished."""
        self._samples[user_id] = points
        self._samples.move_to_end(user_id)
        if len(self._samples) > SAMPLES_MAX:
            self._samples.popitem(last=False)
        self._added += 1

    def find_typical(self) -> float | None:
        """Return how many points a user gets in a window; None if too few are known.

        To find it takes as long as ten awards, so a few more samples do not make it anew.
        """
        is_old = self._typical is None or self._added >= _SAMPLES_RENEWED
        if is_old and len(self._samples) >= SAMPLES_MIN:
            self._typical, self._added = median(self._samples.values()), 0
        return self._typical
