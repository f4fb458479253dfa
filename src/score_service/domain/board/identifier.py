"""What an id may look like. Pure.

The characters are chosen so that an id can stand in a Redis key, a hash tag, a line of the digest's
canonical text and a log line as it is. Every store relies on that.
"""

import re

_ID = re.compile(r"[A-Za-z0-9._:@-]{1,128}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")


def is_identifier(text: str) -> bool:
    """Return whether a board, user or action id is 1 to 128 characters of `[A-Za-z0-9._:@-]`."""
    return _ID.fullmatch(text) is not None


def parse_uuid(text: str) -> str | None:
    """Read a UUID in its hyphenated form of 36 characters, in either case; None for anything else.

    Returns:
        The same in lower case, as PostgreSQL writes it.
    """
    return text.lower() if _UUID.fullmatch(text) else None


def is_trace_id(text: str) -> bool:
    """Return whether text is a W3C trace id: 32 lower-case hexadecimal digits, not all zero."""
    return _TRACE_ID.fullmatch(text) is not None
