"""Text that clients carry and hand back as it is. Pure."""

import base64


def write_opaque(text: str) -> str:
    """Write ASCII text so that it can stand in a URL, and nobody is tempted to read it."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_opaque(token: str) -> str:
    """Read what `write_opaque` wrote; empty for anything else."""
    try:
        text = base64.b64decode(f"{token}==", altchars=b"-_").decode("ascii")
    except ValueError:
        return ""
    return text if write_opaque(text) == token else ""
