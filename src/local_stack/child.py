"""Child processes: started so that they cannot outlive this process, logged to a file, stopped in order."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from local_stack.errors import ServerFailedError

_TAIL_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Child:
    """A running child process and the file that has its output."""

    name: str
    process: subprocess.Popen[bytes]
    log_path: Path
    stop_signal: signal.Signals

    @classmethod
    def start(
        cls,
        name: str,
        command: Sequence[str],
        log_path: Path,
        *,
        stop_signal: signal.Signals = signal.SIGTERM,
        environment: Mapping[str, str] | None = None,
        keep_open: Sequence[int] = (),
    ) -> Self:
        """Start a command that `bind_command` has bound to this process.

        It ends with the calling thread, so call this from the main thread. It has a session of its own: a
        Ctrl-C in the terminal reaches only this process, which stops its children in order. `keep_open` are
        file descriptors the child inherits.
        """
        with log_path.open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=None if environment is None else dict(environment),
                pass_fds=keep_open,
                start_new_session=True,
            )
        return cls(name, process, log_path, stop_signal)

    @property
    def exit_code(self) -> int | None:
        """The exit code, or None while the process runs."""
        return self.process.poll()

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until `ready` holds; raise ServerFailedError if the process ends first, or time is up."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self.exit_code is not None:
                raise ServerFailedError(
                    f"{self.name} ended while starting ({self.describe_exit()}).\n{self.tail()}"
                )
            if time.monotonic() > deadline:
                raise ServerFailedError(
                    f"{self.name} was not ready after {seconds:.0f} seconds.\n{self.tail()}"
                )
            time.sleep(0.02)

    def stop(self, seconds: float = 20) -> None:
        """Ask the process to end and wait; end it the hard way if it takes longer than that."""
        if self.exit_code is None:
            os.kill(self.process.pid, self.stop_signal)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def describe_exit(self) -> str:
        """Say how the process ended."""
        code = self.exit_code
        if code is not None and code < 0:
            return f"signal {signal.Signals(-code).name}"
        return f"exit code {code}"

    def tail(self, lines: int = 20) -> str:
        """Return the last lines of the output."""
        with self.log_path.open("rb") as log:
            log.seek(max(0, self.log_path.stat().st_size - _TAIL_BYTES))
            text = log.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:])
