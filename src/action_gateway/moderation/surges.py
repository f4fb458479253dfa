"""Who gets points faster than anyone should, as far as this process pays them. Pure.

The points of a user are counted in windows of a minute, each of which begins with a payment. The score
service tells more, and compares with what is typical of a board, in its log and its metrics: here it is
enough to have a moderator look. Memory is bounded: who was paid longest ago is forgotten first.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

_WINDOW_SECONDS: Final = 60.0
_USERS_MAX: Final = 20_000


@dataclass(slots=True)
class _Window:
    """The points of a user since a time."""

    began: float
    points: int = 0


class Surges:
    """The points that users got lately."""

    def __init__(self, *, floor: int, users_max: int = _USERS_MAX) -> None:
        """Take the points in a minute up to which nothing is suspicious; with 0, nothing ever is."""
        self._floor = floor
        self._users_max = users_max
        self._windows = OrderedDict[str, _Window]()

    def note(self, user_id: str, points: int, now: float) -> bool:
        """Take in a payment made now, in seconds; tell whether a surge begins with it."""
        if not self._floor:
            return False
        window = self._windows.pop(user_id, None)
        if window is None or not 0.0 <= now - window.began < _WINDOW_SECONDS:
            window = _Window(now)
        self._windows[user_id] = window
        if len(self._windows) > self._users_max:
            self._windows.popitem(last=False)
        before = window.points
        window.points += points
        return before <= self._floor < window.points
