"""Secrets as files that only their owner can read."""

import secrets
from pathlib import Path


def write_secret(path: Path, content: bytes) -> None:
    """Write a file of mode 0600, also where one exists; at no moment can others read it."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(content)


def ensure_secret(path: Path) -> Path:
    """Return a file with a random secret, which is made if there is none."""
    if not path.exists():
        # Written under another name first: a start that is killed leaves no empty one.
        draft = path.with_name(f"{path.name}.draft")
        write_secret(draft, secrets.token_urlsafe(32).encode())
        draft.rename(path)
    return path
