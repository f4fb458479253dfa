"""Clients with WebSockets in a process of their own, which count the messages that come.

It is a program: `python -m bench.load.listeners HOST:PORT PATH`. The first line it reads is a JSON list of
access tokens, one for each socket; it writes a line when every socket has got its first message. Then each
line is answered by one of JSON: how many messages came since the last one, and how many sockets were closed.

It knows no more of RFC 6455 than the servers under test send: text frames in one piece, and closes.
"""

import asyncio
import base64
import json
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

_OPENING_AT_ONCE = 50
_SHORT_MAX, _LONG = 125, 126
_HEAD, _LONG_HEAD = 2, 4
_CLOSE = 0x88
_HANDSHAKE_END = b"\r\n\r\n"


@dataclass(slots=True)
class Listener(asyncio.Protocol):
    """One socket."""

    request: bytes
    started: asyncio.Event = field(default_factory=asyncio.Event)
    messages: int = 0
    closed: bool = False
    _data: bytes = b""
    _opened: bool = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket."""
        if isinstance(transport, asyncio.Transport):
            transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Count the messages."""
        self._data += data
        if not self._opened and (end := self._data.find(_HANDSHAKE_END)) >= 0:
            self._opened, self._data = True, self._data[end + len(_HANDSHAKE_END) :]
        if self._opened:
            self._count()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - As asyncio calls it.
        """Note the end, so that nothing waits for more messages."""
        self.closed = True
        self.started.set()

    def _count(self) -> None:
        data, at = self._data, 0
        while len(data) - at >= _HEAD:
            size, begin = data[at + 1], at + _HEAD
            if size == _LONG:
                begin = at + _LONG_HEAD
                size = int.from_bytes(data[at + _HEAD : begin])
            if len(data) < begin + size or len(data) < begin:
                break
            self.closed = self.closed or data[at] == _CLOSE
            self.messages += 1
            at = begin + size
        self._data = data[at:]
        if self.messages:
            self.started.set()


def ask_for_socket(address: str, path: str, token: str) -> bytes:
    """Write the request for a WebSocket."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {address}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(secrets.token_bytes(16)).decode()}",
        f"Authorization: Bearer {token}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


async def listen(address: str, path: str, tokens: Sequence[str]) -> None:
    """Listen until the input ends."""
    loop, room = asyncio.get_running_loop(), asyncio.Semaphore(_OPENING_AT_ONCE)
    host, _, port = address.rpartition(":")

    async def open_one(token: str) -> Listener:
        async with room:
            listener = Listener(ask_for_socket(address, path, token))
            await loop.create_connection(lambda: listener, host, int(port))
            await listener.started.wait()
            return listener

    listeners = await asyncio.gather(*map(open_one, tokens))
    _answer({"listening": len(listeners)})
    told = sum(listener.messages for listener in listeners)
    while await asyncio.to_thread(sys.stdin.readline):
        now = sum(listener.messages for listener in listeners)
        _answer({"messages": now - told, "closed": sum(listener.closed for listener in listeners)})
        told = now


def _answer(document: object) -> None:
    print(json.dumps(document), flush=True)  # noqa: T201 - The bench reads it.


def main(address: str, path: str) -> None:
    """Listen with the tokens of the first line."""
    asyncio.run(listen(address, path, json.loads(sys.stdin.readline())))


if __name__ == "__main__":
    main(*sys.argv[1:])
