"""The process of an adapter: a line of JSON in, a line of JSON out."""

import asyncio
import json
import os
import signal
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Self

_LONGEST_LINE: Final = 16 << 20
_STDERR_LINES: Final = 10
_STDERR_LINE: Final = 300
_SHOWN: Final = 120
"""Characters of a line that is no answer."""
_LEAVING_SECONDS: Final = 5.0


class AdapterFault(Exception):  # noqa: N818 - a fault of the adapter, and no error of the kit
    """The adapter cannot be spoken to any more: it is to be replaced."""


class AdapterProcess:
    """A running adapter, within its `async with` block. It is asked for one thing after the other."""

    def __init__(
        self, command: Sequence[str], *, answer_seconds: float, environment: Mapping[str, str] | None = None
    ) -> None:
        """Take the command, how long an answer may take, and what its environment has beside that of here."""
        self._command = command
        self._answer_seconds = answer_seconds
        self._environment = {**os.environ, **(environment or {})}
        self._process: asyncio.subprocess.Process | None = None
        self._stderr: deque[str] = deque(maxlen=_STDERR_LINES)
        self._stderr_reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start it.

        Raises:
            AdapterFault: The command cannot be started.
        """
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._environment,
                limit=_LONGEST_LINE,
                start_new_session=True,  # So that it can be killed with the processes that it started.
            )
        except OSError as error:
            raise AdapterFault(f"{self._command[0]} cannot be started: {error.strerror}") from error
        self._stderr_reader = asyncio.create_task(self._read_stderr(self._process))
        return self

    async def __aexit__(self, *_exception: object) -> None:
        """Let it leave as its input ends, or kill it."""
        process, reader = self._running()
        if process.stdin:
            process.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEAVING_SECONDS):
                await process.wait()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(TimeoutError, ValueError):
            async with asyncio.timeout(_LEAVING_SECONDS):
                # Its end is only seen once nothing is left to be read.
                while process.stdout and await process.stdout.read(_LONGEST_LINE):
                    pass
                await process.wait()
        reader.cancel()
        await asyncio.wait([reader])

    async def ask(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Send a command, and return the answer.

        Raises:
            AdapterFault: It has ended, says something that is no answer, or nothing for too long.
        """
        process, _ = self._running()
        if not process.stdin or not process.stdout:
            raise RuntimeError("the adapter was started without pipes")
        try:
            async with asyncio.timeout(self._answer_seconds):
                process.stdin.write(json.dumps(command).encode() + b"\n")
                with suppress(ConnectionError):  # What does not read may yet have printed something.
                    await process.stdin.drain()
                line = await process.stdout.readline()
        except TimeoutError:
            raise AdapterFault(
                f"no answer to {command['do']!r} within {self._answer_seconds:g} s{self._last_words()}"
            ) from None
        except ValueError:
            raise AdapterFault(f"a line of more than {_LONGEST_LINE:,} bytes") from None
        if not line.endswith(b"\n"):
            raise AdapterFault(await self._tell_end(process, line))
        return _read_answer(line)

    def _running(self) -> tuple[asyncio.subprocess.Process, "asyncio.Task[None]"]:
        if not self._process or not self._stderr_reader:
            raise RuntimeError("the adapter is used outside of its 'async with' block")
        return self._process, self._stderr_reader

    async def _read_stderr(self, process: asyncio.subprocess.Process) -> None:
        while process.stderr:
            try:
                line = await process.stderr.readline()
            except ValueError:  # A line without an end; what came of it is dropped.
                continue
            if not line:
                return
            self._stderr.append(line.decode(errors="replace").rstrip()[:_STDERR_LINE])

    async def _tell_end(self, process: asyncio.subprocess.Process, printed: bytes) -> str:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEAVING_SECONDS):
                await process.wait()
                if self._stderr_reader:
                    await asyncio.shield(self._stderr_reader)
        told = f"it printed {_show(printed)} and" if printed else "it"
        if process.returncode is None:
            return f"{told} closed its output{self._last_words()}"
        return f"{told} ended with exit code {process.returncode}{self._last_words()}"

    def _last_words(self) -> str:
        return "; its last lines of errors:\n" + "\n".join(self._stderr) if self._stderr else ""


def _read_answer(line: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or len(answer.keys() & {"result", "error", "unsupported"}) != 1:
        raise AdapterFault(f"a line that is no answer: {_show(line)}")
    return answer


def _show(line: bytes) -> str:
    return repr(line.decode(errors="replace").rstrip()[:_SHOWN])
