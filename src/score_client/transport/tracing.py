"""Spans of what a client does, if the program had set up OpenTelemetry when it made the client.

Of a call there is one span for each try. An award has one around its tries, because it may share a call with
others: that call is then part of the trace of one of them, and linked with all.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from importlib.metadata import version

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from grpc import StatusCode
from grpc.aio import AioRpcError
from opentelemetry import propagate, trace
from opentelemetry.context import Context, get_current
from opentelemetry.trace import Link, ProxyTracerProvider, Span, SpanKind, Tracer

from score_api.v1 import score_service_pb2
from score_client.errors import ScoreClientError

Metadata = tuple[tuple[str, str], ...]

_NOTHING = nullcontext(())


def find_tracer() -> Tracer | None:
    """Find what makes spans; None where the program has set up nothing."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, ProxyTracerProvider):
        return None
    return provider.get_tracer("score_client", version("laurel"))


def current_span() -> Span:
    """Return the span of what is done here; an invalid one where there is none."""
    return trace.get_current_span()


def award(
    tracer: Tracer | None, request: score_service_pb2.AwardPointsRequest
) -> AbstractContextManager[object]:
    """Make a span around all tries of an award, and name its trace in the request if it names none."""
    return _award(tracer, request) if tracer else _NOTHING


def call(
    tracer: Tracer | None, request: object, callers: Sequence[Span] = ()
) -> AbstractContextManager[Metadata]:
    """Make a span around one try of a call, and give what tells the service of it.

    Args:
        tracer: What makes spans. Without one, nothing is told.
        request: What is sent. Whether the service is there is asked too often to be of interest.
        callers: The spans that it is sent for, if not for the current one. It belongs to the first of them
            that is sampled, and is linked with all if there are several.
    """
    return _call(tracer, request, callers) if tracer and isinstance(request, Message) else _NOTHING


def propagated() -> Metadata:
    """Return what tells the service of the current span, nothing where there is none."""
    return _inject(get_current()) if current_span().get_span_context().is_valid else ()


@contextmanager
def _award(tracer: Tracer, request: score_service_pb2.AwardPointsRequest) -> Iterator[None]:
    span = tracer.start_span("award")
    if not request.trace_id and span.get_span_context().is_valid:
        request.trace_id = trace.format_trace_id(span.get_span_context().trace_id)
    with _inside(span):
        yield


@contextmanager
def _call(tracer: Tracer, request: Message, callers: Sequence[Span]) -> Iterator[Metadata]:
    method = _method_of(request.DESCRIPTOR)
    sampled = [caller for caller in callers if caller.get_span_context().trace_flags.sampled]
    sharing = sampled if len(callers) > 1 else []
    # What belongs to the task that happens to send a shared call is not for this trace.
    context = trace.set_span_in_context((*sampled, *callers)[0], Context()) if callers else get_current()
    span = tracer.start_span(
        method,
        context,
        SpanKind.CLIENT,
        {"rpc.system.name": "grpc", "rpc.method": method},
        [Link(caller.get_span_context()) for caller in sharing],
    )
    for caller in sharing:
        if caller.is_recording():  # The caller may have given up.
            caller.add_link(span.get_span_context())
    with _inside(span):
        yield _inject(trace.set_span_in_context(span, context))
        span.set_attribute("rpc.response.status_code", StatusCode.OK.name)


@cache
def _method_of(request: Descriptor) -> str:
    """Return the method that takes a type of request: each is declared beside its service, for one method."""
    (method,) = (
        f"{service.full_name}/{method.name}"
        for service in request.file.services_by_name.values()
        for method in service.methods
        if method.input_type.full_name == request.full_name
    )
    return method


@contextmanager
def _inside(span: Span) -> Iterator[None]:
    """Run the block in a span and end it, with the kind of an error if there is one, and not its text."""
    with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield
        except BaseException as error:
            if isinstance(error.__cause__, AioRpcError):
                span.set_attribute("rpc.response.status_code", error.__cause__.code().name)
            reason = error.reason if isinstance(error, ScoreClientError) else type(error).__qualname__
            span.set_attribute("error.type", reason)
            span.set_status(trace.StatusCode.ERROR)
            raise


def _inject(context: Context) -> Metadata:
    carrier: dict[str, str] = {}
    propagate.inject(carrier, context)
    return tuple((name.lower(), value) for name, value in carrier.items())
