"""The table of log fields: it lists what the programs log, and nothing else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PROGRAMS: Final = ("action_gateway", "score_client", "score_relay", "score_service", "service_runtime")
OF_EVERY_LINE: Final = {"timestamp", "level", "logger", "event", "exception", "trace_id", "span_id"}
NAMED_ELSEWHERE: Final = {
    *("kind", "error", "grpc", "http", "admin"),
    *("request_id", "caller", "grpc.method", "address", "limit"),
}
"""Fields that a line takes from a mapping, or from the context of its call."""
NOT_FIELDS: Final = {"exc_info"}
LOGGERS: Final = re.compile(
    r"(.*\.)?_?log\.(debug|info|warning|error|exception|bind)|log|tell|.*\.bind_contextvars"
)


def logged_fields(source: str) -> Iterator[str]:
    """Give the fields that calls in a module name."""
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call) or not LOGGERS.fullmatch(ast.unparse(call.func)):
            continue
        for keyword in call.keywords:
            if keyword.arg:
                yield keyword.arg
            elif isinstance(keyword.value, ast.Dict):
                yield from (str(key.value) for key in keyword.value.keys if isinstance(key, ast.Constant))


def test_the_table_of_log_fields_has_every_field_that_is_logged() -> None:
    modules = [file for program in PROGRAMS for file in (ROOT / "src" / program).rglob("*.py")]
    logged = {field for file in modules for field in logged_fields(file.read_text(encoding="utf-8"))}
    page = (ROOT / "docs/observability.md").read_text(encoding="utf-8")
    table = page.partition("\n## Logs\n")[2].partition("\n## ")[0]
    first_cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    listed = {field for cell in first_cells for field in re.findall(r"`([a-z_.]+)`", cell)}

    assert listed == (logged - NOT_FIELDS) | OF_EVERY_LINE | NAMED_ELSEWHERE
