"""Ed25519 keys with which the gateway signs its tokens."""

from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from local_stack.secret_file import write_secret


def ensure_signing_key(folder: Path, now: datetime) -> None:
    """Make a key in the folder unless it has one; its name is the time, so a later one sorts after it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.glob("*.pem")):
        return
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    # Written under another name first: a start that is killed leaves no half a key.
    draft = folder / "draft"
    write_secret(draft, pem)
    draft.rename(folder / f"{now:%Y%m%dT%H%M%SZ}.pem")
