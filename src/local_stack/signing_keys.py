"""Ed25519 keys that sign tokens of the gateway, and tickets of the sample issuer."""

import base64
import json
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

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


def write_key_set(folder: Path) -> None:
    """Write the public halves of the keys in a folder beside them, as a JWKS that names each by its file."""
    keys = [_describe(file) for file in sorted(folder.glob("*.pem"))]
    draft = folder / "public.draft"
    draft.write_text(json.dumps({"keys": keys}, indent=2), encoding="utf-8")
    draft.rename(folder / "public.jwks.json")


def _describe(file: Path) -> dict[str, str]:
    public = (
        load_pem_private_key(file.read_bytes(), None)
        .public_key()
        .public_bytes(Encoding.Raw, PublicFormat.Raw)
    )
    x = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": file.stem, "use": "sig", "alg": "EdDSA"}
