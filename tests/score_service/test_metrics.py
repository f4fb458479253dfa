"""The metrics of the score service have bounded labels, and its log lines say of which call they are."""

import json
import logging
from io import StringIO

import structlog
from grpc import StatusCode
from prometheus_client import generate_latest

from score_service.metrics import CALL_FIELDS, GRPC_CODES, Metrics, add_call_fields
from service_runtime.telemetry.logs import configure_logging


def test_what_is_bound_to_a_call_is_in_its_lines() -> None:
    stream = StringIO()
    configure_logging("json", "info", add_call_fields, stream)
    token = CALL_FIELDS.set({"request_id": "r-1"})
    structlog.get_logger("x").info("a")
    logging.getLogger("y").warning("b")
    CALL_FIELDS.reset(token)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["request_id"] for line in lines] == ["r-1", "r-1"]


def test_codes_are_named_as_go_names_them() -> None:
    assert set(GRPC_CODES) == {code.name for code in StatusCode}
    assert GRPC_CODES["INVALID_ARGUMENT"] == "InvalidArgument"
    assert GRPC_CODES["CANCELLED"] == "Canceled"
    assert GRPC_CODES["OK"] == "OK"


def test_two_sets_of_metrics_do_not_meet() -> None:
    first, second = Metrics(), Metrics()
    first.awards.inc()
    assert b"laurel_awards_total 1.0" in generate_latest(first.registry)
    assert b"laurel_awards_total 0.0" in generate_latest(second.registry)


def test_a_followed_gauge_is_read_when_it_is_scraped() -> None:
    metrics, value = Metrics(), [1.0]
    metrics.follow("laurel_thing", "A thing.", lambda: value[0])
    value[0] = 7.0
    assert b"laurel_thing 7.0" in generate_latest(metrics.registry)
