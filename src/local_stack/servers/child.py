"""Child processes: logged to a file, watched, and stopped in order."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Self

from local_stack.errors import ServerFailedError

_TAIL_BYTES = 64 * 1024
_TAIL_LINES = 20


@dataclass(frozen=True, slots=True)
class Child:
    """A child process and the file that has its output."""

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
        """The exit code, negative for a signal, or None while the process runs."""
        return self.process.poll()

    def finish(self) -> None:
        """Wait for the end; raise ServerFailedError unless it is a success."""
        try:
            self.process.wait()
        finally:
            self.stop()
        if self.exit_code != 0:
            self._fail(f"failed ({self._describe_exit()})")

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until `ready` holds.

        Raise ServerFailedError and leave no process behind if the process ends first, or time is up.
        """
        deadline = time.monotonic() + seconds
        try:
            while not ready():
                self.require_running()
                if time.monotonic() > deadline:
                    self._fail(f"was not ready after {seconds:.0f} seconds")
                time.sleep(0.02)
        except BaseException:
            self.stop()
            raise

    def require_running(self) -> None:
        """Raise ServerFailedError, with the last lines of the output, if the process has ended."""
        if self.exit_code is not None:
            self._fail(f"ended ({self._describe_exit()})")

    def stop(self, seconds: float = 20) -> None:
        """Ask the process to end and wait; end it the hard way if it takes longer than that."""
        if self.exit_code is None:
            os.kill(self.process.pid, self.stop_signal)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def tail(self) -> str:
        """Return the last lines of the output."""
        with self.log_path.open("rb") as log:
            log.seek(max(0, self.log_path.stat().st_size - _TAIL_BYTES))
            text = log.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-_TAIL_LINES:])

    def _fail(self, what: str) -> NoReturn:
        raise ServerFailedError(f"{self.name} {what}. Its last words:\n{self.tail()}")

    def _describe_exit(self) -> str:
        code = self.exit_code
        if code is not None and code < 0:
            return f"signal {signal.Signals(-code).name}"
        return f"exit code {code}"
