"""The spans of the score service: what they say, and what they keep to themselves."""

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, SpanContext

from score_service import tracing
from score_service.errors import RecordUnavailableError
from score_service.record.database import Database
from service_runtime.postgres.pool import PoolSettings
from service_runtime.telemetry.tracing import current_span, ids_of, inside

PARENT = {"traceparent": f"00-{'1f' * 16}-{'2e' * 8}-01"}


def only(spans: InMemorySpanExporter) -> ReadableSpan:
    (span,) = spans.get_finished_spans()
    return span


def status_of(span: ReadableSpan) -> tuple[str, str | None]:
    return span.status.status_code.name, span.status.description


@pytest.mark.parametrize(
    ("code", "is_fault"),
    [("OK", False), ("PERMISSION_DENIED", False), ("NOT_FOUND", False), ("INTERNAL", True)],
)
def test_a_call_is_a_fault_only_if_it_is_the_servers(
    spans: InMemorySpanExporter, code: str, *, is_fault: bool
) -> None:
    tracing.end_call(tracing.begin_call("s/m", PARENT), code)

    span = only(spans)
    assert span.name == "s/m"
    assert (span.parent and span.parent.trace_id) == int("1f" * 16, 16)
    assert span.attributes == {
        "rpc.system.name": "grpc",
        "rpc.method": "s/m",
        "rpc.response.status_code": code,
    } | ({"error.type": code} if is_fault else {})
    assert status_of(span) == ("ERROR" if is_fault else "UNSET", None)


@pytest.mark.parametrize("given", ["", "x", f"00-{'0' * 32}-{'2e' * 8}-01", f"ff-{'1f' * 16}-{'2e' * 8}-01"])
def test_a_parent_that_is_not_well_formed_is_none(spans: InMemorySpanExporter, given: str) -> None:
    span = tracing.begin_call("s/m", {"traceparent": given})
    tracing.end_call(span, "OK")

    assert only(spans).parent is None


def test_a_call_ends_once(spans: InMemorySpanExporter, caplog: pytest.LogCaptureFixture) -> None:
    span = tracing.begin_call("s/m", {})
    tracing.end_call(span, "OK")
    tracing.end_call(span, "INTERNAL")

    assert status_of(only(spans)) == ("UNSET", None)
    assert not caplog.records


def test_a_batch_is_in_the_trace_of_the_first_call_that_is_sampled_and_linked_with_all_of_those(
    spans: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    unsampled = NonRecordingSpan(SpanContext(5, 5, is_remote=False))
    first, second, left = (tracing.begin_call(f"s/{name}", {}) for name in ("first", "second", "left"))
    tracing.end_call(left, "CANCELLED")

    tracing.begin_batch([unsampled, first, first, second, left], 5).end()
    tracing.end_call(first, "OK")
    tracing.end_call(second, "OK")

    ended = {span.name: span for span in spans.get_finished_spans()}
    batch = ended["batch"]
    assert batch.attributes == {"laurel.batch.awards": 5}
    assert batch.parent == first.get_span_context()
    assert [link.context for link in batch.links] == [s.get_span_context() for s in (first, second, left)]
    for name in ("s/first", "s/second"):
        assert [link.context for link in ended[name].links] == [batch.get_span_context()]
    assert not caplog.records  # Nothing was asked of a span that had ended.


def test_a_batch_of_which_nothing_is_sampled_only_names_a_trace(spans: InMemorySpanExporter) -> None:
    unsampled = NonRecordingSpan(SpanContext(5, 6, is_remote=False))

    batch = tracing.begin_batch([unsampled], 1)
    batch.end()

    assert ids_of(batch) == {"trace_id": f"{5:032x}", "span_id": f"{6:016x}"}
    assert not spans.get_finished_spans()


async def test_a_statement_that_fails_has_the_kind_of_its_error_and_not_its_text(
    spans: InMemorySpanExporter,
) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    settings = PoolSettings(nowhere, wait_seconds=0.1, statement_seconds=0.1)
    async with Database.open(settings) as record:
        with pytest.raises(RecordUnavailableError):
            await record.fetch_all("read_head", {"board_id": "main"})
        assert not spans.get_finished_spans()  # As in a loop, which nobody has asked for.
        with (
            trace.get_tracer("tests").start_as_current_span("around", record_exception=False),
            pytest.raises(RecordUnavailableError),
        ):
            await record.fetch_all("read_head", {"board_id": "main"})

    *tries, _ = spans.get_finished_spans()
    assert {span.name for span in tries} == {"read_head"}
    assert tries[0].attributes == {
        "db.system.name": "postgresql",
        "db.query.summary": "read_head",
        "error.type": "PoolTimeout",
    }
    assert status_of(tries[0]) == ("ERROR", None)
    assert not tries[0].events


def test_while_tracing_is_off_no_span_is_valid() -> None:
    assert tracing.begin_call("s/m", PARENT) is INVALID_SPAN
    assert tracing.begin_batch([INVALID_SPAN], 1) is INVALID_SPAN
    assert ids_of(current_span()) == {}
    with inside(INVALID_SPAN), tracing.statement("a"), tracing.script("b"):
        assert current_span() is INVALID_SPAN
