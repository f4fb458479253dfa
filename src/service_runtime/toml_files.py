"""TOML files that are checked as a whole: every fault with its place in the file."""

import tomllib
from collections.abc import Iterator
from typing import Any, Final

from pydantic import ValidationError

from service_runtime.errors import SetupError

_SAID: Final = {"missing": "is missing", "extra_forbidden": "is not known"}


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML. Raises SetupError."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SetupError([f"is no TOML: {error}"]) from None
    except (ValueError, RecursionError):
        raise SetupError(["is no TOML: has a number too long, or is nested too deep"]) from None


def describe_faults(error: ValidationError) -> Iterator[str]:
    """Describe what a model found wrong with a file, a line for each fault; values are not shown."""
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault["loc"])
        said = _SAID.get(fault["type"]) or fault["msg"].removeprefix("Value error, ")
        yield f"{place.removeprefix('.')}: {said}"
