"""What signed tokens say, which players do not verify, and the names of awards that follow from it."""

import base64
import json
import uuid
from collections.abc import Iterable
from typing import Any


def read_claims(token: str) -> dict[str, Any]:
    """Read what a signed token says."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def change_claims(token: str, **changes: object) -> str:
    """Have a token say something else, under the signature that it has."""
    header, _, signature = token.split(".")
    payload = json.dumps(read_claims(token) | changes, separators=(",", ":")).encode()
    return ".".join((header, base64.urlsafe_b64encode(payload).rstrip(b"=").decode(), signature))


def name_award(namespace: uuid.UUID, parts: Iterable[str]) -> uuid.UUID:
    """Name an award after some texts. No two lists of texts give the same name."""
    return uuid.uuid5(namespace, "".join(f"{len(part)}:{part}" for part in parts))
