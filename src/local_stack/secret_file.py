"""Secrets as files that only their owner can read."""

from pathlib import Path


def write_secret(path: Path, content: bytes) -> None:
    """Write a file of mode 0600, also where one exists; at no moment can others read it."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(content)
