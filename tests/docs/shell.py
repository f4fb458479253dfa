"""A shell that goes on from command to command, as the terminal of a reader does."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LOOP: Final = """
while IFS= read -r -d "" command; do
    eval "$command" </dev/null
    printf "\\0%d\\0" $?
done
"""
_SECONDS: Final = 200
"""For one command, on a very busy machine."""


@dataclass(frozen=True, slots=True)
class Shell:
    """A running bash."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def run(self, command: str) -> tuple[int, list[str]]:
        """Run a command; return its exit code, and what it printed, without spaces at the ends of lines.

        Raises:
            TimeoutError: It has not ended in time, such as one that waits for what never comes.
        """
        self.writer.write(command.encode() + b"\0")
        try:
            async with asyncio.timeout(_SECONDS):
                printed = await self.reader.readuntil(b"\0")
                code = await self.reader.readuntil(b"\0")
        except TimeoutError:
            raise TimeoutError(f"no end within {_SECONDS} s: {command}") from None
        return int(code[:-1]), [line.rstrip() for line in printed[:-1].decode().splitlines()]


@asynccontextmanager
async def open_shell(folder: Path, variables: Mapping[str, str]) -> AsyncIterator[Shell]:
    """Open a shell in a folder, with these environment variables alone."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "--noprofile", "--norc", "-c", _LOOP),
        cwd=folder,
        env=dict(variables),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Shell(process.stdout, process.stdin)
        process.stdin.close()
        async with asyncio.timeout(_SECONDS):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
