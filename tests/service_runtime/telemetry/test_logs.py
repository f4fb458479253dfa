"""Logs of every logger in one form."""

import asyncio
import io
import json
import logging
import secrets
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from service_runtime.telemetry.logs import configure_logging


def add_nothing(_logger: object, _level: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    return event


@pytest.fixture
def stream() -> io.StringIO:
    """Return a stream to log to."""
    return io.StringIO()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json(stream: io.StringIO) -> None:
    configure_logging("json", "info", add_nothing, stream)
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


def test_what_json_does_not_have_is_written_as_its_repr(stream: io.StringIO) -> None:
    @dataclass
    class Login:
        user: str
        password: str = field(repr=False)

    configure_logging("json", "info", add_nothing, stream)
    secret = secrets.token_hex(8)
    structlog.get_logger("x").info("made", login=Login("a", secret), when=datetime(2026, 1, 2, tzinfo=UTC))
    assert secret not in stream.getvalue()
    (line,) = lines(stream)
    assert "Login(user='a')" in line["login"]
    assert line["when"].startswith("datetime.datetime(2026, 1, 2")


def test_numbers_and_texts_beyond_what_the_encoder_takes_are_logged(stream: io.StringIO) -> None:
    configure_logging("json", "info", add_nothing, stream)
    structlog.get_logger("x").info("made", number=2**70, text="half a pair: \ud800", names={1: "a"})
    (line,) = lines(stream)
    assert (line["number"], line["text"]) == (2**70, "half a pair: \ud800")
    assert line["names"] == {"1": "a"}


def test_the_loggers_of_libraries_have_the_same_form(stream: io.StringIO) -> None:
    configure_logging("json", "info", add_nothing, stream)
    logging.getLogger("grpc").warning("lost %s", "peer", extra={"port": 7})
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["logger"]) == ("lost peer", "warning", "grpc")
    assert line["port"] == 7
    assert "timestamp" in line


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_exception_is_logged_with_its_place_but_not_with_the_values_there(
    stream: io.StringIO, form: str
) -> None:
    configure_logging(form, "info", add_nothing, stream)
    secret = secrets.token_hex(8)
    try:
        {}[len(secret)]  # type: ignore[index]
    except KeyError:
        structlog.get_logger("x").exception("failed")
    assert "KeyError: 16" in stream.getvalue()
    assert secret not in stream.getvalue()


def test_lesser_levels_are_left_out(stream: io.StringIO) -> None:
    configure_logging("json", "warning", add_nothing, stream)
    structlog.get_logger("x").info("a")
    logging.getLogger("y").info("b")
    structlog.get_logger("x").warning("c")
    assert [line["event"] for line in lines(stream)] == ["c"]


def test_a_terminal_gets_lines_for_people(stream: io.StringIO) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    configure_logging("auto", "info", add_nothing, terminal)
    structlog.get_logger("x").info("made", revision=7)
    assert "made" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")
    configure_logging("auto", "info", add_nothing, stream)
    structlog.get_logger("x").info("made")
    assert lines(stream)


def test_what_libraries_log_for_debugging_is_left_out_at_any_level(stream: io.StringIO) -> None:
    configure_logging("json", "debug", add_nothing, stream)
    logging.getLogger("asyncio").debug("a")
    logging.getLogger("uvicorn.error").info("GET /?token=secret")
    structlog.get_logger("x").debug("b")
    assert [line["event"] for line in lines(stream)] == ["b"]


def test_a_library_of_our_own_is_logged_at_the_level_of_the_service(stream: io.StringIO) -> None:
    configure_logging("json", "debug", add_nothing, stream, ["laurel_test_library"])
    logging.getLogger("laurel_test_library.retry").debug("a")
    logging.getLogger("laurel_test_other").debug("b")
    assert [line["event"] for line in lines(stream)] == ["a"]


class CountingStream(io.StringIO):
    """Counts how often it is flushed."""

    def __init__(self) -> None:
        super().__init__()
        self.flushes = 0
        self.flushed = asyncio.Event()

    def flush(self) -> None:
        self.flushes += 1
        self.flushed.set()


def test_lines_that_are_logged_shortly_after_each_other_are_written_together() -> None:
    async def log_twice() -> int:
        output.flushed = asyncio.Event()
        structlog.get_logger("x").info("a")
        await asyncio.sleep(0)
        structlog.get_logger("y").info("b")
        before = output.flushes
        await output.flushed.wait()
        return before

    output = CountingStream()
    configure_logging("json", "info", add_nothing, output)
    assert asyncio.run(log_twice()) == 0
    assert asyncio.run(log_twice()) == 1
    assert output.flushes == 2
    assert [line["event"] for line in lines(output)] == ["a", "b", "a", "b"]


def test_a_warning_is_written_at_once_with_what_was_logged_before() -> None:
    async def warn() -> int:
        log = structlog.get_logger("x")
        log.info("a")
        log.warning("b")
        return output.flushes

    output = CountingStream()
    configure_logging("json", "info", add_nothing, output)
    assert asyncio.run(warn()) == 1


def test_a_line_is_written_at_once_where_no_event_loop_runs_also_after_one_that_ended_early() -> None:
    async def log_once() -> None:
        structlog.get_logger("x").info("a")

    output = CountingStream()
    configure_logging("json", "info", add_nothing, output)
    asyncio.run(log_once())
    structlog.get_logger("x").info("b")
    assert output.flushes == 1
