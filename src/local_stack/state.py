"""The state folder: what a stack keeps from one start to the next, and the claim on it.

award_points.py   a program that awards points, ready to run
certificates/     the development authority and what it issued
issue_ticket.py   a program that issues a ticket and redeems it, ready to run
keys/             of the gateway's tokens, and of the sample issuer of tickets
logs/             one file a process, and that of the start before
passwords/        one file a role
postgres/ valkey/ the servers' data
run/              the addresses of the services that run
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local_stack.errors import ServerFailedError, StateInUseError

_LEFTOVER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class StateFolder:
    """A folder that one stack at a time works in."""

    path: Path

    @contextmanager
    def claim(self) -> Iterator[int]:
        """Hold the folder; yield a file descriptor that every child must keep open.

        There are two locks. This process alone holds one, so a second stack knows at once that the folder
        is in use. The children hold the other as long as one of them lives: the servers of a stack that was
        killed finish writing before the next one touches their data.

        Raises StateInUseError if another stack has the folder.
        """
        # Others may pass through, as the servers' own account must, but not look around.
        self.path.mkdir(mode=0o711, parents=True, exist_ok=True)
        with (
            (self.path / "stack.lock").open("a") as stack,
            (self.path / "children.lock").open("a") as children,
        ):
            if not _try_lock(stack.fileno()):
                raise StateInUseError(
                    f"A stack already runs on {self.path}. Stop it, or choose another folder with STATE_DIR=…"
                )
            _await_lock(children.fileno())
            yield children.fileno()

    def folder(self, name: str) -> Path:
        """Return a folder of this name, made if needed, closed to others."""
        path = self.path / name
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def new_log(self, name: str) -> Path:
        """Return the path of an empty log; the one of the last start is kept beside it."""
        path = self.folder("logs") / f"{name}.log"
        if path.exists():
            path.replace(path.with_suffix(".previous.log"))
        path.touch(mode=0o600)
        return path


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _await_lock(descriptor: int) -> None:
    deadline = time.monotonic() + _LEFTOVER_SECONDS
    while not _try_lock(descriptor):
        if time.monotonic() > deadline:
            raise ServerFailedError("Servers of an earlier start still run and do not end. See the logs.")
        time.sleep(0.05)
