"""The reasons for which a connection ends, and the WebSocket close code of each."""

from enum import Enum


class Ending(Enum):
    """Why a connection ends: the WebSocket close code, and the words that go with it."""

    GONE = (1000, "the client has left")
    UNAUTHENTICATED = (4401, "a valid access token is needed")
    FOREIGN_ORIGIN = (4403, "this origin is not allowed")
    PERIOD_UNKNOWN = (4404, "the leaderboard has no such period")
    AUTH_TIMEOUT = (4408, "no access token came in time")
    PROTOCOL = (1008, "the message is not as described")
    TOO_MANY_MESSAGES = (1008, "too many messages")
    FAULT = (1011, "the server failed")
    RESTARTING = (1012, "the server restarts; connect again")
    OVERLOADED = (1013, "too many connections; try again later")
    TOO_MANY_OF_USER = (1013, "too many connections of this user")
    TOO_SLOW = (1013, "the client reads too slowly")
    UNAVAILABLE = (1013, "the leaderboard is not available; try again later")

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason

    @property
    def label(self) -> str:
        """Its name in the metrics."""
        return self.name.lower()


class EndedError(Exception):
    """The connection has to end."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.reason)
        self.ending = ending
