"""What stands around every handler, of whichever of the four kinds: identity, policy, errors, limits of time.

The handlers of all methods are wrapped, because a gRPC interceptor itself does not see the peer. One
function serves unary and streaming calls alike, so neither can get past a check that the other has.
A message is parsed in here, not by gRPC, which would answer an unreadable one with UNKNOWN.

Unary calls of our own services have a bounded number of places, awards and reads each their own. Health
is always told, and streams are counted where they are served.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, aclosing, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import DecodeError
from grpc import StatusCode

from score_service.access.admission import Admission
from score_service.access.caller import CALLER, Caller
from score_service.access.identity import read_spiffe_id
from score_service.access.policy import SERVICES, Policy
from score_service.errors import (
    InvalidRequestError,
    NotAllowedError,
    OverloadedError,
    ShuttingDownError,
    WatcherEvictedError,
)
from score_service.grpc_api.calls import Call, Observer, ServicerContext
from score_service.grpc_api.denials import Denials
from score_service.grpc_api.status import OVERLOADED, to_status
from score_service.metrics import MethodMetrics, Metrics
from service_runtime.tracing import inside

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
_UNKNOWN: Final = "unknown"
_QUIET_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True)
class Method:
    """A method of the server as its generated code has it."""

    name: str
    """`package.Service/Method`."""
    takes_stream: bool
    gives_stream: bool
    parse: Callable[[bytes], Any]
    serialize: Callable[[Any], bytes]
    behaviour: Callable[[Any, ServicerContext], Any]
    metrics: MethodMetrics
    admission: Admission | None = None
    """Where its calls get a place, if they need one."""

    def place(self) -> AbstractContextManager[None]:
        """Take a place for a call. Raises OverloadedError if there is none."""
        return self.admission.place() if self.admission else nullcontext()

    def read(self, raw: bytes) -> Any:
        """Parse a message.

        Raises:
            InvalidRequestError: the bytes are no message of this type.
        """
        self.metrics.received.inc()
        try:
            return self.parse(raw)
        except DecodeError:
            raise InvalidRequestError({"request": "is not a message of this method"}) from None

    async def read_each(self, raws: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        """Parse a stream of messages."""
        async for raw in raws:
            yield self.read(raw)

    def write(self, message: Any) -> bytes:
        """Serialize a message."""
        self.metrics.sent.inc()
        return self.serialize(message)


@dataclass(frozen=True, slots=True)
class Entrance:
    """What a call of a method meets first."""

    handler: Handler
    refusal: Handler
    admission: Admission | None

    def choose(self) -> Handler:
        """Choose the refusal while there is no place. It does not wait for the request."""
        return self.refusal if self.admission and self.admission.is_full else self.handler


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every handler of a server."""

    def __init__(
        self, policy: Policy, metrics: Metrics, denials: Denials, stall_seconds: float, places: int
    ) -> None:
        """Take for how long a stream's reader may leave one message untaken, and the places of a service."""
        self._policy = policy
        self._metrics = metrics
        self._denials = denials
        self._observer = Observer(metrics)
        self._stall_seconds = stall_seconds
        self.admissions = {service: Admission(service, places) for service in SERVICES}
        """The places for unary calls, by service."""
        self._entrances: dict[str, Entrance] = {}
        self._unknown = self._wrap_unknown()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._streams: set[asyncio.Timeout] = set()
        self._stopping = False
        self._may_begin = asyncio.Event()
        self._may_begin.set()
        self._taken_in = 0

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Return the wrapped handler of a method. Methods are few, so each is wrapped once and kept."""
        name = handler_call_details.method
        if name not in self._entrances:
            handler = await continuation(handler_call_details)
            if handler is None:
                return self._unknown
            self._entrances[name] = self._wrap_known(name.removeprefix("/"), handler)
        return self._entrances[name].choose()

    def end_streams(self) -> None:
        """End all streams with SHUTTING_DOWN, and each one that is opened from now on."""
        self._stopping = True
        for scope in self._streams:
            scope.reschedule(asyncio.get_running_loop().time())

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Take calls in, but begin none of them before the end of the block."""
        self._may_begin.clear()
        try:
            yield
        finally:
            self._may_begin.set()

    async def quiet(self) -> None:
        """Wait until no call has come for a moment."""
        before = -1
        while before != self._taken_in:
            before = self._taken_in
            await asyncio.sleep(_QUIET_SECONDS)

    async def idle(self) -> None:
        """Wait until no handler runs. The server's own stop may return before that."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def announce(self, service: ServiceDescriptor) -> None:
        """Make the metrics of methods that nobody has called yet, so that rates start from zero."""
        for method in service.methods:
            kind = _KINDS[method.client_streaming, method.server_streaming]
            self._metrics.calls.of(kind.label, service.full_name, method.name)

    def _wrap_known(self, name: str, handler: Handler) -> Entrance:
        kind = _KINDS[handler.request_streaming, handler.response_streaming]
        service, _, method_name = name.partition("/")
        method = Method(
            name,
            takes_stream=handler.request_streaming,
            gives_stream=handler.response_streaming,
            parse=handler.request_deserializer or bytes,
            serialize=handler.response_serializer or bytes,
            behaviour=getattr(handler, kind.field),
            metrics=self._metrics.calls.of(kind.label, service, method_name),
            admission=None if handler.response_streaming else self.admissions.get(service),
        )
        return Entrance(self._wrap(method), self._wrap_refusal(method), method.admission)

    def _wrap_refusal(self, method: Method) -> Handler:
        """Make the handler that refuses for want of a place: as little as can be done for a call."""
        handled = method.metrics.handled[OVERLOADED.code.name]
        rejected = self._metrics.rejected.labels(OVERLOADED.reason)
        status = to_status(OverloadedError())

        async def refuse(_requests: AsyncIterator[bytes], context: ServicerContext) -> None:
            for counter in (method.metrics.started, handled, rejected):
                counter.inc()
            if method.admission:
                method.admission.note_refusal()
            await context.abort_with_status(status)

        # Only the handler of a two-way stream is called before the request has come.
        return grpc.stream_stream_rpc_method_handler(refuse)

    def _wrap_unknown(self) -> Handler:
        async def refuse(_requests: AsyncIterator[bytes], context: ServicerContext) -> None:
            await context.abort(StatusCode.UNIMPLEMENTED, "There is no such method.")

        metrics = self._metrics.calls.of("bidi_stream", _UNKNOWN, _UNKNOWN)
        return self._wrap(Method(_UNKNOWN, True, True, bytes, bytes, refuse, metrics))

    def _wrap(self, method: Method) -> Handler:
        async def respond(incoming: Any, context: ServicerContext) -> Any:
            task = asyncio.current_task()
            if task is None:
                raise RuntimeError("A handler runs in a task.")
            self._tasks.add(task)
            self._taken_in += 1
            try:
                await self._may_begin.wait()
                with (
                    self._observer.observe(method.name, context, method.metrics) as call,
                    inside(call.span),
                ):
                    return await self._answer(method, incoming, context, call)
            finally:
                self._tasks.discard(task)

        kind = _KINDS[method.takes_stream, method.gives_stream]
        return kind.make_handler(respond, response_serializer=method.write)

    async def _answer(self, method: Method, incoming: Any, context: ServicerContext, call: Call) -> Any:
        try:
            with method.place():
                self._admit(method, context, call)
                return await self._run(method, incoming, context, call)
        except grpc.aio.BaseError:
            raise
        except Exception as error:  # noqa: BLE001  # gRPC would tell the caller what it says.
            call.fail(error)
            self._denials.note([error], context.peer)
            await context.abort_with_status(to_status(error))

    def _admit(self, method: Method, context: ServicerContext, call: Call) -> None:
        spiffe_id = read_spiffe_id(context.auth_context())
        call.name_caller(spiffe_id)
        if method.name != _UNKNOWN:
            CALLER.set(Caller(self._policy.grant_of(spiffe_id, method.name), call.trace_id))
        elif not self._policy.names(spiffe_id):
            raise NotAllowedError

    async def _run(self, method: Method, incoming: Any, context: ServicerContext, call: Call) -> Any:
        request = method.read_each(incoming) if method.takes_stream else method.read(incoming)
        if not method.gives_stream:
            return await method.behaviour(request, context)
        async with self._stream():
            await self._send(method.behaviour(request, context), context, call)
        return None

    async def _send(self, running: Any, context: ServicerContext, call: Call) -> None:
        """Write what a handler yields, or let it write by itself, as the health servicer does."""
        if inspect.isawaitable(running):
            await running
            return
        async with aclosing(running) as messages:
            async for message in messages:
                try:
                    async with asyncio.timeout(self._stall_seconds):
                        await context.write(message)
                        call.begin_stream()
                except TimeoutError:
                    self._metrics.evicted.inc()
                    raise WatcherEvictedError from None

    @asynccontextmanager
    async def _stream(self) -> AsyncIterator[None]:
        """Let a stream run until `end_streams`."""
        if self._stopping:
            raise ShuttingDownError
        scope = asyncio.timeout(None)
        self._streams.add(scope)
        try:
            async with scope:
                yield
        except TimeoutError:
            if scope.expired():
                raise ShuttingDownError from None
            raise
        finally:
            self._streams.discard(scope)
