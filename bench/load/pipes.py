"""Programs of the bench that make load in processes of their own. Each line of JSON is answered by one."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

from bench.stack.stack import Stack
from local_stack.servers.binding import bind_command

_ANSWER_SECONDS = 120
_STOP_SECONDS = 10
_LINE_MAX = 1 << 28


@dataclass(frozen=True, slots=True)
class Piped:
    """A program that runs."""

    process: asyncio.subprocess.Process

    @classmethod
    @asynccontextmanager
    async def running(cls, stack: Stack, *command: object) -> AsyncIterator[Self]:
        """Run a command until the end of the block. Its CPU counts as that of the load."""
        process = await asyncio.create_subprocess_exec(
            *bind_command(list(map(str, command))),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=stack.environment,
            limit=_LINE_MAX,
            start_new_session=True,
        )
        stack.load_pids.add(process.pid)
        program = cls(process)
        try:
            yield program
        finally:
            await program.stop()
            stack.load_pids.discard(process.pid)

    async def ask(self, line: Any = None) -> Any:
        """Send a line and read the answer; None if the program has ended."""
        reader, writer = self.process.stdout, self.process.stdin
        if reader is None or writer is None:
            raise RuntimeError("The program has no pipes.")
        writer.write(f"{json.dumps(line)}\n".encode())
        async with asyncio.timeout(_ANSWER_SECONDS):
            return json.loads(await reader.readline() or "null")

    def signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.process.returncode is None:
            self.process.send_signal(number)

    async def stop(self) -> None:
        """End the process."""
        if self.process.returncode is None and self.process.stdin:
            self.process.stdin.close()
            try:
                await asyncio.wait_for(self.process.wait(), _STOP_SECONDS)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
