"""Bytes as they are, to and from a port."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final
from urllib.parse import urlsplit

SECONDS: Final = 20.0
_SILENCE_SECONDS: Final = 0.1


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def finish(self) -> bytes:
        """Read until the server closes the connection."""
        async with asyncio.timeout(SECONDS):
            return await self.reader.read()

    async def listen(self) -> bytes:
        """Read what comes soon. A server that waits for the rest of a request says nothing."""
        answer = b""
        with suppress(TimeoutError):
            async with asyncio.timeout(_SILENCE_SECONDS):
                while part := await self.reader.read(65_536):
                    answer += part
        return answer


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Wire]:
    """Open a connection. That the server cuts it is no failure."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    with suppress(ConnectionError):
        try:
            yield Wire(reader, writer)
        finally:
            writer.close()
            await writer.wait_closed()


def status_of(answer: bytes) -> int:
    """Read the status of the first response; 0 if there is none."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0
