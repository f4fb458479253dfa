"""Ports of the loopback interface."""

import errno
import socket

from local_stack.errors import PortInUseError

HOST = "127.0.0.1"


def free_port() -> int:
    """Return a port that nobody listens on at this moment; whoever binds it later may still find it taken."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int, variable: str) -> None:
    """Raise PortInUseError, naming the variable that moves it, if somebody listens on the port."""
    with socket.socket() as probe:
        # Like a server: a port whose last connections only linger is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError as error:
            raise PortInUseError(
                f"Port {port} needs more rights. Choose another with {variable}=…"
            ) from error
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortInUseError(f"Port {port} is in use. Choose another with {variable}=…") from error
