"""Tokens that were tampered with."""

import base64
import hashlib
import hmac
import json
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from action_gateway.accounts.keys import KeyFolder


def forge(token: str, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """Change a token's claims or header and keep its signature."""
    parts = token.split(".")
    parts[0] = _write_part(read_part(parts[0]) | (header or {}))
    parts[1] = _write_part(read_part(parts[1]) | claims)
    return ".".join(parts)


def sign_with_public_key(token: str, keys: KeyFolder, encoding: Encoding) -> str:
    """Sign a token with HMAC, the public key being the secret."""
    form = PublicFormat.Raw if encoding is Encoding.Raw else PublicFormat.SubjectPublicKeyInfo
    secret = keys.signing_key().public.public_bytes(encoding, form)
    signed = forge(token, header={"alg": "HS256"}).rpartition(".")[0]
    digest = hmac.digest(secret, signed.encode(), hashlib.sha256)
    return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def read_part(part: str) -> dict[str, Any]:
    """Read the header or the claims of a token."""
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=="))
    return decoded


def _write_part(members: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(members).encode()).rstrip(b"=").decode()
