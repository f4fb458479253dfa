"""Ed25519 keys as JSON Web Keys (RFC 7517 and RFC 8037)."""

import base64
import hashlib
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def describe_key(public: Ed25519PublicKey, key_id: str) -> dict[str, str]:
    """Describe a public key that verifies signatures, under a name."""
    return {**_members(public), "kid": key_id, "use": "sig", "alg": "EdDSA"}


def find_thumbprint(public: Ed25519PublicKey) -> str:
    """Return the thumbprint of a public key (RFC 7638), with SHA-256."""
    members = json.dumps(_members(public), sort_keys=True, separators=(",", ":"))
    return encode_base64url(hashlib.sha256(members.encode()).digest())


def encode_base64url(raw: bytes) -> str:
    """Encode in base64url without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _members(public: Ed25519PublicKey) -> dict[str, str]:
    return {"crv": "Ed25519", "kty": "OKP", "x": encode_base64url(public.public_bytes_raw())}
