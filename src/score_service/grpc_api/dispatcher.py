"""Finds the handler of each call. Around each handler stand identity, policy, errors and limits of time.

gRPC asks here for each call, before its request has come, so that one for which there is no slot is rejected
at once. An interceptor of gRPC would do that too, with two coroutines and three objects more for each call.

One function serves unary and streaming calls alike, so neither can get past a check that the other has.
A message is parsed in here, not by gRPC, which would answer an unreadable one with UNKNOWN.

The unary calls in flight of our own services are bounded, of awards and of reads each on their own. Health
is always answered, and streams are counted where they are served.
"""

import asyncio
import inspect
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing, nullcontext
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import grpc
from grpc import StatusCode

from score_service.access.admission import Admission
from score_service.access.caller import CALLER, Caller
from score_service.access.identity import Peer, read_peer
from score_service.access.policy import SERVICES, Policy
from score_service.errors import NotAllowedError, OverloadedError, ShuttingDownError, WatcherEvictedError
from score_service.grpc_api.calls import Call, Observer, ServicerContext
from score_service.grpc_api.connections import Connections
from score_service.grpc_api.denials import Denials
from score_service.grpc_api.in_flight import InFlight
from score_service.grpc_api.methods import Handler, Method
from score_service.grpc_api.open_streams import OpenStreams
from score_service.grpc_api.status import OVERLOADED, to_status
from score_service.metrics import Metrics
from service_runtime.telemetry.tracing import inside

Slot: TypeAlias = AbstractContextManager[object]

_UNKNOWN: Final = "unknown"
_NO_SLOT: Final = nullcontext()


@dataclass(frozen=True, slots=True)
class Entrance:
    """What a call of a method meets first."""

    handler: Handler
    rejection: Handler
    admission: Admission | None

    def choose(self) -> Handler:
        """Choose the rejection while all slots are taken. It does not wait for the request."""
        return self.rejection if self.admission and self.admission.is_full else self.handler


class Dispatcher(grpc.GenericRpcHandler):
    """The handlers of a server. Generated code adds those of a service here, as it would to the server."""

    def __init__(
        self,
        policy: Policy,
        metrics: Metrics,
        denials: Denials,
        *,
        stall_seconds: float,
        connection_seconds: float,
        calls_max: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Make what wraps handlers.

        Args:
            policy: Who may call what.
            metrics: Where calls are counted.
            denials: Where denials are counted.
            stall_seconds: For how long a stream's reader may leave one message untaken.
            connection_seconds: The age at which the streams of a connection are ended.
            calls_max: The slots for unary calls of a service.
            now: The time in seconds since 1970.
        """
        self._policy = policy
        self._metrics = metrics
        self._denials = denials
        self._observer = Observer(metrics)
        self._stall_seconds = stall_seconds
        self.admissions = {service: Admission(service, calls_max) for service in SERVICES}
        """The slots for unary calls, by service."""
        self.in_flight = InFlight()
        self.connections = Connections(connection_seconds)
        self.streams = OpenStreams(self.connections, now)
        self._now = now
        self._entrances: dict[str, Entrance] = {}
        """By the path of the method."""
        self._unknown = self._wrap_unknown()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        """Return what handles a call, now."""
        entrance = self._entrances.get(handler_call_details.method)
        return entrance.choose() if entrance else self._unknown

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, Handler]
    ) -> None:
        """Wrap the handlers of a service. Their metrics are seen from now on, so rates start from zero."""
        admission = self.admissions.get(service_name)
        for name, handler in method_handlers.items():
            method = Method.of(f"{service_name}/{name}", handler, self._metrics)
            self._entrances[f"/{method.name}"] = self._enter(
                method, None if method.gives_stream else admission
            )

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Do nothing: generated code adds the same methods in both ways."""

    def _enter(self, method: Method, admission: Admission | None) -> Entrance:
        return Entrance(self._wrap(method, admission), self._wrap_rejection(method, admission), admission)

    def _wrap_rejection(self, method: Method, admission: Admission | None) -> Handler:
        """Make the handler that rejects for want of a slot: as little as can be done for a call."""
        metrics, code = method.metrics, OVERLOADED.code.name
        rejected = self._metrics.rejected.labels(OVERLOADED.reason)
        status = to_status(OverloadedError())

        async def reject(_requests: AsyncIterator[bytes], context: ServicerContext) -> None:
            metrics.started += 1
            metrics.handled[code] += 1
            rejected.inc()
            if admission:
                admission.note_rejection()
            await context.abort_with_status(status)

        # Only the handler of a two-way stream is called before the request has come.
        return grpc.stream_stream_rpc_method_handler(reject)

    def _wrap_unknown(self) -> Handler:
        async def reject(_requests: AsyncIterator[bytes], context: ServicerContext) -> None:
            await context.abort(StatusCode.UNIMPLEMENTED, "There is no such method.")

        metrics = self._metrics.calls.of("bidi_stream", _UNKNOWN, _UNKNOWN)
        return self._wrap(Method(_UNKNOWN, True, True, bytes, bytes, reject, metrics), None)

    def _wrap(self, method: Method, admission: Admission | None) -> Handler:
        slot = admission.slot if admission else _NO_SLOT
        in_flight, observer = self.in_flight, self._observer
        name, metrics = method.name, method.metrics

        async def respond(incoming: Any, context: ServicerContext) -> Any:
            task = in_flight.enter()
            try:
                if in_flight.is_held:
                    await in_flight.wait_to_go_on()
                with Call(name, context, observer, metrics) as call, inside(call.span):
                    return await self._answer(method, slot, incoming, context, call)
            finally:
                in_flight.leave(task)

        return method.make_handler(respond)

    async def _answer(
        self, method: Method, slot: Slot, incoming: Any, context: ServicerContext, call: Call
    ) -> Any:
        try:
            with slot:
                peer = self._authorize(method, context, call)
                answer = None
                if method.gives_stream:
                    await self._stream(method, incoming, context, call, peer)
                else:
                    answer = await method.behaviour(method.take(incoming), context)
        except grpc.aio.BaseError:
            raise
        except Exception as error:  # noqa: BLE001  # gRPC would tell the caller what it says.
            call.fail(error)
            self._denials.note([error], context.peer)
            if self.in_flight.is_held:
                await self.in_flight.wait_to_go_on()
            try:
                await context.abort_with_status(to_status(error))
            except grpc.aio.InternalError:
                # The health servicer had a message on its way, and its stream ends with the connection. gRPC
                # would log this as a fault of the handler.
                if not isinstance(error, ShuttingDownError):
                    raise
                raise asyncio.CancelledError from None
        if self.in_flight.is_held:
            await self.in_flight.wait_to_go_on()
        return answer

    def _authorize(self, method: Method, context: ServicerContext, call: Call) -> Peer:
        peer = read_peer(context.auth_context())
        call.name_caller(peer.spiffe_id)
        peer.require_valid(self._now())
        if method.name != _UNKNOWN:
            CALLER.set(Caller(self._policy.grant_of(peer.spiffe_id, method.name), call.trace_id))
        elif not self._policy.names(peer.spiffe_id):
            raise NotAllowedError
        self.connections.note(context.peer())
        return peer

    async def _stream(
        self, method: Method, incoming: Any, context: ServicerContext, call: Call, peer: Peer
    ) -> None:
        request = method.take(incoming)
        async with self.streams.open(peer, context.peer()):
            if inspect.iscoroutinefunction(method.behaviour):  # It writes by itself, as that of health does.
                await _send_headers(context)
                await method.behaviour(request, context)
            else:
                await self._send(method.behaviour(request, context), context, call)

    async def _send(self, running: AsyncGenerator[Any], context: ServicerContext, call: Call) -> None:
        """Write what a handler yields."""
        async with aclosing(running) as messages:
            has_begun = False
            async for message in messages:
                if not has_begun:
                    await _send_headers(context)
                    has_begun = True
                try:
                    async with asyncio.timeout(self._stall_seconds):
                        await context.write(message)
                        call.begin_stream()
                except TimeoutError:
                    self._metrics.evicted.inc()
                    raise WatcherEvictedError from None


async def _send_headers(context: ServicerContext) -> None:
    """Send the headers of a stream before its first message, to the end, whatever ends the stream meanwhile.

    gRPC sends them with the first message, and takes them for sent once that has gone out. The status of a
    stream that ends before would bring them again, fail, and never reach the caller. No reader holds them up.
    """
    sending = asyncio.ensure_future(context.send_initial_metadata(()))
    try:
        await asyncio.shield(sending)
    except asyncio.CancelledError:
        await asyncio.wait([sending])
        raise
