"""Log set-up: one event a line, on standard output, in one format for our loggers and those of libraries.

Change the format here, and nowhere else. Event names are `snake_case`; what varies stands in fields.

Lines below `warning` that are logged within a few milliseconds are written together: a system call for each
call is a tenth of what the call costs. A process that is killed loses them.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TextIO

import orjson
import structlog

Processor = Callable[[object, str, MutableMapping[str, Any]], Mapping[str, Any]]

_QUIET: Final = ("uvicorn.error", "alembic.runtime.plugins")
"""Loggers whose informational lines are not wanted: uvicorn logs the query string of every WebSocket."""
_FLUSH_SECONDS: Final = 0.01
_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
"""Nothing but what JSON has is taken apart: what `repr` hides is not shown."""


def error_fields(error: BaseException) -> dict[str, str]:
    """Return what a line says of an error that was expected: its class, and the first line of its message."""
    return {"kind": type(error).__name__, "error": str(error).partition("\n")[0]}


def configure_logging(
    log_format: str,
    level: str,
    add_context: Processor,
    stream: TextIO | None = None,
    own_libraries: Iterable[str] = (),
) -> None:
    """Write every log event to a stream.

    Args:
        log_format: `json`, `console`, or `auto`: for a terminal where the stream is one.
        level: the lowest level that our loggers write. Libraries write `info` at the lowest: what they log
            below that is too much, and may hold secrets.
        add_context: adds to an event what is known of the call or request in which it is logged.
        stream: standard output if None.
        own_libraries: loggers of the standard library that write at `level`, too.
    """
    stream = stream or sys.stdout
    shared: list[Any] = [add_context, _add_origin]
    renderers = _renderers(console=log_format == "console" or (log_format == "auto" and stream.isatty()))
    structlog.configure(
        processors=[*shared, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=partial(_LineLogger, _LineStream(stream)),
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    threshold = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(handlers=[handler], level=max(threshold, logging.INFO), force=True)
    for name in own_libraries:
        logging.getLogger(name).setLevel(threshold)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))


class _LineStream:
    """A stream that is flushed soon after a line, and at once where no event loop runs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._flushing: asyncio.AbstractEventLoop | None = None
        """The event loop that is about to flush."""

    def write_soon(self, line: str) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.write(line)
            return
        self._stream.write(f"{line}\n")
        if self._flushing is not loop:  # One that has ended flushes nothing any more.
            self._flushing = loop
            loop.call_later(_FLUSH_SECONDS, self._flush)

    def write(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()

    def _flush(self) -> None:
        self._flushing = None
        self._stream.flush()


class _LineLogger:
    """Writes lines under the name of a module.

    The standard library's loggers take four times as long; those of structlog flush each line.
    """

    def __init__(self, stream: _LineStream, name: str = "") -> None:
        self.name = name
        self.debug = self.info = stream.write_soon
        self.warning = self.error = self.critical = stream.write


def _renderers(*, console: bool) -> list[Any]:
    if console:
        # Not the default formatter: that one shows local variables, and some of those are secrets.
        return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [structlog.processors.format_exc_info, _render]


def _add_origin(logger: Any, level: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Add logger, level and time. structlog has a processor for each, which together take twice as long."""
    record = event.get("_record")
    event["logger"] = record.name if record else logger.name
    event["level"] = level
    event["timestamp"] = f"{datetime.now(UTC).replace(tzinfo=None).isoformat()}Z"
    return event


def _render(_logger: object, _level: str, event: MutableMapping[str, Any]) -> str:
    """Write an event as JSON. The encoder of the standard library takes ten times as long."""
    try:
        return orjson.dumps(event, repr, _OPTIONS).decode()
    except TypeError:  # A number of more than 64 bits, or half a surrogate pair.
        return json.dumps(event, default=repr)
