"""Ports of the loopback interface."""

import errno
import socket
from collections.abc import Callable
from typing import TypeVar

from local_stack.errors import PortInUseError, ServerFailedError

HOST = "127.0.0.1"
_ATTEMPTS = 3
_TAKEN = ("could not bind", "Address already in use")

_T = TypeVar("_T")


def free_port() -> int:
    """Return a port that is free at this moment; it may be taken before it is bound."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def start_on_free_port(start: Callable[[int], _T]) -> _T:
    """Call `start` with a free port, and with another one if it was taken before the server bound it."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return start(free_port())
        except ServerFailedError as error:
            if not any(words in str(error) for words in _TAKEN):
                raise
    return start(free_port())


def require_free(port: int, variable: str) -> None:
    """Raise PortInUseError, naming the variable that moves the port, unless a server could listen there."""
    with socket.socket() as probe:
        # Like a server: a port whose last connections only linger is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError as error:
            raise PortInUseError(f"Port {port} is reserved. Choose another with {variable}=…") from error
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortInUseError(f"Port {port} is in use. Choose another with {variable}=…") from error
