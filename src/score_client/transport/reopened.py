"""A stream of the service that is opened again whenever it has broken.

Every failure ends the stream. The next read opens another one, which makes a read safe to retry.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

import grpc

from score_client.errors import QuotaExceededError, ServiceFaultError, UnavailableError
from score_client.transport.channel import RenewedChannel
from score_client.transport.connection import Connection, Stubs
from score_client.transport.retry import outcome

PASSING = (UnavailableError, QuotaExceededError, ServiceFaultError)
"""The errors after which a stream is opened again."""

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


class ReopenedStream(Generic[_Request, _Response]):
    """Reads messages, each from a new stream if the last one broke."""

    def __init__(
        self,
        channel: RenewedChannel,
        open_stream: Callable[[Stubs], grpc.aio.UnaryStreamCall[_Request, _Response]],
        *,
        first_timeout: float,
        stall_timeout: float,
    ) -> None:
        """Take how to open it, and for how many seconds to wait for the first message, and for any other."""
        self._channel = channel
        self._open_stream = open_stream
        self._first_timeout = first_timeout
        self._stall_timeout = stall_timeout
        self._connection: Connection | None = None
        self._stream: grpc.aio.UnaryStreamCall[_Request, _Response] | None = None

    async def read(self) -> _Response:
        """Return the next message.

        Raises:
            UnavailableError: The stream has ended, or nothing came for too long.
            ScoreClientError: What it has ended with.
        """
        try:
            return await self._read()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the stream, if it is open."""
        stream, self._stream = self._stream, None
        if stream:
            stream.cancel()

    async def _read(self) -> _Response:
        stream, patience = self._current_stream()
        try:
            async with asyncio.timeout(patience):
                message = await outcome(stream.read())
        except TimeoutError:
            raise UnavailableError("STALLED", f"The stream brought nothing for {patience} s.") from None
        if message is grpc.aio.EOF:
            raise UnavailableError("STREAM_ENDED", "The service ended the stream.")
        return message  # type: ignore[return-value]  # The stubs do not tell what EOF is.

    def _current_stream(self) -> tuple[grpc.aio.UnaryStreamCall[_Request, _Response], float]:
        connection = self._channel.current
        if self._stream and connection is self._connection:
            return self._stream, self._stall_timeout
        self.close()
        self._connection = connection
        self._stream = self._open_stream(connection.stubs)
        return self._stream, self._first_timeout
