"""The table of log fields: it names every field that a line of Laurel has, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("service_runtime", "score_service", "action_gateway", "score_relay")
LEVELS: Final = frozenset({"debug", "info", "warning", "error", "critical", "exception"})
UNNAMED: Final = frozenset({"exc_info"})
"""What is no field, but becomes `exception`."""
ADDED: Final = frozenset({"timestamp", "level", "logger", "event", "exception"})
"""What structlog adds to each line."""


def list_calls() -> Iterator[ast.Call]:
    for package in PACKAGES:
        for file in (ROOT / "src" / package).rglob("*.py"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def is_log_call(call: ast.Call) -> bool:
    """Return whether a call is `….level("event", …)`."""
    return (
        isinstance(call.func, ast.Attribute)
        and call.func.attr in LEVELS
        and bool(call.args)
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    )


def read_documented() -> set[str]:
    """Return the words in code of the first column of the table."""
    page = (ROOT / "docs/observability.md").read_text(encoding="utf-8")
    section = page.split("## Logs\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {field for row in rows for field in re.findall(r"`([^`]+)`", row)}


def test_every_field_that_is_logged_is_documented() -> None:
    logged = {word.arg for call in list_calls() if is_log_call(call) for word in call.keywords if word.arg}
    assert logged - UNNAMED - read_documented() == set()


def test_every_documented_field_is_in_the_code() -> None:
    source = "".join(
        file.read_text(encoding="utf-8")
        for package in PACKAGES
        for file in (ROOT / "src" / package).rglob("*.py")
    )
    written = {
        field
        for field in read_documented()
        if re.search(rf'"{re.escape(field)}"|\b{re.escape(field)}=', source)
    }
    assert read_documented() - ADDED - written == set()
