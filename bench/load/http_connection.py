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
        described = {"Content-Type": "application/json", "Content-Length": len(content), **headers}
        return await self._exchange(f"POST {path}", described, content)

    async def get(self, path: str, headers: Mapping[str, str]) -> tuple[int, Any]:
        """Ask for something; return the status and the JSON of the answer."""
        return await self._exchange(f"GET {path}", headers)

    async def _exchange(
        self, request: str, headers: Mapping[str, object], content: bytes = b""
    ) -> tuple[int, Any]:
        lines = [f"{request} HTTP/1.1", f"Host: {self.host}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        section = await self.reader.readuntil(b"\r\n\r\n")
        return read_status(section), json.loads(await self._read_body(section))

    async def _read_body(self, headers: bytes) -> bytes:
        if not is_chunked(headers):
            return await self.reader.readexactly(read_length(headers))
        body = b""
        while size := int(await self.reader.readline(), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readline()
        return body


def read_status(headers: bytes) -> int:
    """Read the status out of the headers of an answer."""
    return int(headers.split(b" ", 2)[1])


def read_length(headers: bytes) -> int:
    """Read the length of the body out of the headers of an answer."""
    return int(_read_header(headers, b"content-length") or 0)


def is_chunked(headers: bytes) -> bool:
    """Return whether the body of an answer comes in chunks."""
    return _read_header(headers, b"transfer-encoding").lower() == b"chunked"


def _read_header(headers: bytes, wanted: bytes) -> bytes:
    for line in headers.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == wanted:
            return value.strip()
    return b""
