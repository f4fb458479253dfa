"""What can go wrong on the way to a running stack; the message of each is one for the terminal."""

from typing import ClassVar


class LocalStackError(Exception):
    """The stack cannot start or go on."""

    exit_code: ClassVar[int] = 1


class MissingServerError(LocalStackError):
    """A program that the stack needs is not installed."""


class ServerFailedError(LocalStackError):
    """A child process ended by itself or did not get ready in time."""


class ServerUnavailableError(LocalStackError):
    """A server given by DATABASE_URL or REDIS_URL does not answer."""


class PortInUseError(LocalStackError):
    """A port that was asked for is taken."""

    exit_code = 2


class StateInUseError(LocalStackError):
    """Another stack runs on the same state folder."""

    exit_code = 2
