"""What can go wrong on the way to a running stack; the message of each is one for the terminal."""


class LocalStackError(Exception):
    """The stack cannot start or go on."""


class MissingServerError(LocalStackError):
    """A server binary is not installed."""


class ServerFailedError(LocalStackError):
    """A child process ended by itself or did not get ready in time."""


class PortInUseError(LocalStackError):
    """A port that was asked for is taken."""


class StateInUseError(LocalStackError):
    """Another stack runs on the same state folder."""
