"""Methods of the server as generated code has them: their kind, and their messages as bytes."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final, Self, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from score_service.errors import InvalidRequestError
from score_service.grpc_api.calls import ServicerContext
from score_service.metrics import MethodMetrics, Metrics

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the four kinds of method."""

    label: str
    """Its name in the metrics."""
    field: str
    """Where a handler of this kind keeps its behaviour."""
    make_handler: Callable[..., Handler]


_KINDS: Final = {
    # By whether requests are streamed, and whether responses are.
    (False, False): Kind("unary", "unary_unary", grpc.unary_unary_rpc_method_handler),
    (False, True): Kind("server_stream", "unary_stream", grpc.unary_stream_rpc_method_handler),
    (True, False): Kind("client_stream", "stream_unary", grpc.stream_unary_rpc_method_handler),
    (True, True): Kind("bidi_stream", "stream_stream", grpc.stream_stream_rpc_method_handler),
}


@dataclass(frozen=True, slots=True)
class Method:
    """A method with its behaviour, which takes and gives messages."""

    name: str
    """`package.Service/Method`."""
    takes_stream: bool
    gives_stream: bool
    parse: Callable[[bytes], Any]
    serialize: Callable[[Any], bytes]
    behaviour: Callable[[Any, ServicerContext], Any]
    metrics: MethodMetrics

    @classmethod
    def of(cls, name: str, handler: Handler, metrics: Metrics) -> Self:
        """Take the method of a handler."""
        takes_stream, gives_stream = handler.request_streaming, handler.response_streaming
        kind = _KINDS[takes_stream, gives_stream]
        service, _, method_name = name.partition("/")
        return cls(
            name,
            takes_stream,
            gives_stream,
            parse=handler.request_deserializer or bytes,
            serialize=handler.response_serializer or bytes,
            behaviour=getattr(handler, kind.field),
            metrics=metrics.calls.of(kind.label, service, method_name),
        )

    def make_handler(self, respond: Callable[[Any, ServicerContext], Any]) -> Handler:
        """Make a handler of this kind. It is given requests as bytes, and gives messages."""
        kind = _KINDS[self.takes_stream, self.gives_stream]
        return kind.make_handler(respond, response_serializer=self.write)

    def take(self, incoming: Any) -> Any:
        """Parse what gRPC gives: a message, or a stream of messages, each of them when it is read.

        Raises:
            InvalidRequestError: the bytes are no message of this type.
        """
        return self._read_each(incoming) if self.takes_stream else self._read(incoming)

    def _read(self, raw: bytes) -> Any:
        self.metrics.received += 1
        try:
            return self.parse(raw)
        except DecodeError:
            raise InvalidRequestError({"request": "is not a message of this method"}) from None

    async def _read_each(self, raws: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        async for raw in raws:
            yield self._read(raw)

    def write(self, message: Any) -> bytes:
        """Serialize a message, unless its handler has done so."""
        self.metrics.sent += 1
        return message if isinstance(message, bytes) else self.serialize(message)
