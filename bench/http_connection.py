"""HTTP/1.1 on one connection, with no more than the bench needs: client libraries take a lot of CPU."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class HttpConnection:
    """One request at a time, on a connection that is kept."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    host: str

    @classmethod
    async def open(cls, address: str) -> Self:
        """Connect to `host:port`."""
        host, _, port = address.rpartition(":")
        return cls(*await asyncio.open_connection(host, int(port)), address)

    async def close(self) -> None:
        """Close the connection."""
        self.writer.close()
        await self.writer.wait_closed()

    async def post(self, path: str, body: object, headers: Mapping[str, str]) -> tuple[int, Any]:
        """Send JSON; return the status and the JSON of the answer."""
        content = json.dumps(body).encode()
        lines = [f"POST {path} HTTP/1.1", f"Host: {self.host}", "Content-Type: application/json"]
        lines += [f"Content-Length: {len(content)}", *(f"{name}: {value}" for name, value in headers.items())]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        head = await self.reader.readuntil(b"\r\n\r\n")
        return read_status(head), json.loads(await self.reader.readexactly(read_length(head)))


def read_status(head: bytes) -> int:
    """Read the status out of the head of an answer."""
    return int(head.split(b" ", 2)[1])


def read_length(head: bytes) -> int:
    """Read the length of the body out of the head of an answer."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
