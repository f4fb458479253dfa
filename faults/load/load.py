"""How much load there is, and on which boards."""

from dataclasses import dataclass

GATEWAY_BOARD = "main"
"""The board that the gateway serves, and the one of all actions of the catalog."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is asked for, and by how many. Rates are of tries begun a second, all together."""

    awards_per_second: float = 180.0
    """By backends."""
    reads_per_second: float = 10.0
    """By backends."""
    corrections_per_second: float = 4.0
    """By moderators."""
    moderators: int = 12
    """How many corrections are under way at most: moderators are few, and wait for their answers."""
    completes_per_second: float = 10.0
    """By players."""
    tickets_per_second: float = 5.0
    """By players, who perform instant actions and redeem the tickets for them."""
    boards: tuple[str, ...] = (GATEWAY_BOARD, "season-hot", "season-b", "season-c")
    """The gateway's, a hot one, and others."""
    users: int = 200
    """Of each board but for the gateway's, on which the players are users too."""
    max_points: int = 1_000
    """The most that the service's policy allows a backend to give at once."""
    players: int = 16
    watches: int = 12
    subscribers: int = 4
    """Readers of feeds."""
    sockets: int = 8
    event_streams: int = 4
    stay_seconds: float = 20.0
    """How long watches that leave and resume stay, on average."""
    pending_max: int = 400
    """Calls of backends under way at most; while there are as many, none are begun."""
