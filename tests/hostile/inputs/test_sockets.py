"""What clients may put into a WebSocket: messages of every sort, and frames that are none."""

import json

from hypothesis import example, given
from hypothesis import strategies as st
from tests.fixtures.clients.realtime import Realtime, close_code
from tests.hostile.inputs.fuzzing import fuzzing
from tests.hostile.inputs.wire import connected, status_of

MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["auth", "hello", "", None, 1, ["auth"]]),
        "accessToken": st.text(max_size=40) | st.none() | st.integers() | st.lists(st.text(), max_size=2),
        "points": st.integers(),
    },
).map(json.dumps)
CLOSES = {1007, 1008, 1009, 4401}


@fuzzing(80)
@given(message=st.text(max_size=300) | st.binary(max_size=300) | MESSAGES)
@example('{"type":"auth","accessToken":"\\u0000"}')
@example('{"type":"auth","type":"hello","accessToken":"x"}')
@example('{"type":"auth","accessToken":"' + "a" * 4_000 + '"}')
@example("[" * 4_096)
@example(b"\x00" * 5_000)
async def test_no_message_keeps_a_socket_open_or_causes_a_server_error(
    realtime: Realtime, message: str | bytes
) -> None:
    async with realtime.connected(None) as socket:
        await socket.send(message)
        assert await close_code(socket) in CLOSES


HANDSHAKE = (
    b"GET /api/v1/leaderboard/ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@fuzzing(80)
@given(raw=st.binary(min_size=1, max_size=100))
@example(b"\x81\x05hello")  # Not masked.
@example(b"\xf1\x80\x00\x00\x00\x00")  # Reserved bits.
@example(b"\x83\x80\x00\x00\x00\x00")  # A reserved kind.
@example(b"\x89\xfe\x01\x00\x00\x00\x00\x00" + bytes(256))  # A ping too long.
@example(b"\x09\x80\x00\x00\x00\x00")  # A ping in fragments.
@example(b"\x80\x80\x00\x00\x00\x00")  # The end of what has not begun.
@example(b"\x88\x81\x00\x00\x00\x00\x01")  # Half a close code.
@example(b"\x88\x82\x00\x00\x00\x00\x03\xed")  # A code that is never sent.
@example(b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff" + bytes(4))  # A message without end.
async def test_no_frame_causes_a_server_error(realtime: Realtime, raw: bytes) -> None:
    async with connected(f"http://{realtime.listener.address}") as wire:
        wire.writer.write(HANDSHAKE)
        assert status_of(await wire.reader.readuntil(b"\r\n\r\n")) == 101
        wire.writer.write(raw)
        wire.writer.write_eof()
        await wire.finish()
