"""What a call says of itself: only what may stand in a log line and in the ledger."""

import pytest

from score_service.access.caller import read_request_id, read_trace_id

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize("text", ["1", "0e8b3a52-6f0e-4a5e-9f3d-0c3a5f1f9a11", "a" * 128])
def test_a_request_id_is_read(text: str) -> None:
    assert read_request_id({"x-request-id": text}) == text


@pytest.mark.parametrize("text", ["", "a" * 129, "a b", "a\nb", "ü", '"', b"bytes"])
def test_a_request_id_that_could_spoil_a_log_line_is_dropped(text: str | bytes) -> None:
    assert not read_request_id({"x-request-id": text})


def test_a_trace_id_is_read_from_traceparent() -> None:
    assert read_trace_id({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}) == TRACE


@pytest.mark.parametrize(
    "text",
    [
        "",
        TRACE,
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-00f067aa0ba902b7",
        f"00-{TRACE}-00f067aa0ba902b7-01\n",
        f"00-{TRACE}x-00f067aa0ba902b7-01",
        b"bytes",
    ],
)
def test_a_traceparent_that_is_not_well_formed_is_dropped(text: str | bytes) -> None:
    assert not read_trace_id({"traceparent": text})


def test_a_call_may_say_nothing() -> None:
    assert not read_request_id({})
    assert not read_trace_id({})
