"""Logs of every logger in one form, and metrics with bounded labels."""

import io
import json
import logging
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from grpc import StatusCode
from prometheus_client import generate_latest

from score_service.metrics import CALL_FIELDS, GRPC_CODES, Metrics, configure_logging


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Return a stream to log to; the loggers are put back afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers.clear()
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json(stream: io.StringIO) -> None:
    configure_logging("json", "info", stream)
    structlog.get_logger("score_service.x").info("made", revision=7, text="two\nlines")
    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "made",
        "level": "info",
        "logger": "score_service.x",
        "revision": 7,
        "text": "two\nlines",
    }


def test_the_loggers_of_libraries_have_the_same_form(stream: io.StringIO) -> None:
    configure_logging("json", "info", stream)
    logging.getLogger("grpc").warning("lost %s", "peer", extra={"port": 7})
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["logger"]) == ("lost peer", "warning", "grpc")
    assert line["port"] == 7
    assert "timestamp" in line


def test_what_is_bound_to_a_call_is_in_its_lines(stream: io.StringIO) -> None:
    configure_logging("json", "info", stream)
    token = CALL_FIELDS.set({"request_id": "r-1"})
    structlog.get_logger("x").info("a")
    logging.getLogger("y").warning("b")
    CALL_FIELDS.reset(token)
    assert [line["request_id"] for line in lines(stream)] == ["r-1", "r-1"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_exception_is_logged_with_its_place_but_not_with_the_values_there(
    stream: io.StringIO, form: str
) -> None:
    configure_logging(form, "info", stream)
    secret = secrets.token_hex(8)
    try:
        {}[len(secret)]  # type: ignore[index]
    except KeyError:
        structlog.get_logger("x").exception("failed")
    assert "KeyError: 16" in stream.getvalue()
    assert secret not in stream.getvalue()


def test_lesser_levels_are_left_out(stream: io.StringIO) -> None:
    configure_logging("json", "warning", stream)
    structlog.get_logger("x").info("a")
    logging.getLogger("y").info("b")
    structlog.get_logger("x").warning("c")
    assert [line["event"] for line in lines(stream)] == ["c"]


def test_a_terminal_gets_lines_for_people(stream: io.StringIO) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    configure_logging("auto", "info", terminal)
    structlog.get_logger("x").info("made", revision=7)
    assert "made" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")
    configure_logging("auto", "info", stream)
    structlog.get_logger("x").info("made")
    assert lines(stream)


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
