"""Key sets of issuers: JWKS (RFC 7517) of public Ed25519 keys (RFC 8037).

They are checked here because `PyJWKSet` of PyJWT leaves out keys that it cannot use, and takes private ones.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from action_gateway.issuers.issuer import IssuerKey
from service_runtime.errors import SetupError
from service_runtime.tls.jwk import describe_key, encode_base64url, find_thumbprint
from service_runtime.tls.pem import parse_key
from service_runtime.toml_files import describe_faults

_KEYS_MAX: Final = 20
_KEY_BYTES: Final = 32
_PUBLIC: Final = b"-----BEGIN PUBLIC KEY-----"
_KEY: Final = re.compile(rb"-----BEGIN [A-Z ]*KEY-----")


def parse_key_set(text: str) -> dict[str, IssuerKey]:
    """Read the keys of a JWKS, by key id.

    Raises:
        SetupError: with all faults, each with its place. A private key is one: nobody but its owner has it.
    """
    try:
        keys = _KeySet.model_validate(json.loads(text)).keys
    except ValidationError as error:
        raise SetupError(list(describe_faults(error))) from None
    except (ValueError, RecursionError):
        raise SetupError(["is no JSON"]) from None
    if repeated := list(_find_repeated(keys)):
        raise SetupError(repeated)
    return {key.kid: IssuerKey(key.public()) for key in keys}


def make_key_set(files: Iterable[Path]) -> str:
    """Make the key set of keys in PEM files, of either half, each under its thumbprint.

    Raises:
        SetupError: a file holds no Ed25519 key or several, or two hold the same.
    """
    publics = [_read_public(file) for file in files]
    keys = [describe_key(public, find_thumbprint(public)) for public in publics]
    text = json.dumps({"keys": keys}, indent=2)
    parse_key_set(text)
    return text


def _read_public(file: Path) -> Ed25519PublicKey:
    try:
        pem = file.read_bytes()
        key = load_pem_public_key(pem) if _PUBLIC in pem else parse_key(pem).public_key()
    except (OSError, ValueError, UnsupportedAlgorithm):
        # The library's message may quote the file.
        raise SetupError([f"{file}: is not a readable key in PEM, or is encrypted"]) from None
    if len(_KEY.findall(pem)) > 1:
        raise SetupError([f"{file}: holds more than one key; give a file for each"])
    if not isinstance(key, Ed25519PublicKey):
        raise SetupError([f"{file}: is not an Ed25519 key"])
    return key


def _check_x(x: str) -> str:
    try:
        raw = base64.urlsafe_b64decode(f"{x}=")
    except ValueError:
        raw = b""
    if len(raw) != _KEY_BYTES or encode_base64url(raw) != x:
        raise ValueError("must be 32 bytes in base64url without padding")
    return x


class _Key(BaseModel):
    # Members that nobody knows are to be ignored (RFC 7517, 4).
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    kid: Annotated[str, Field(pattern=r"^[!-~]{1,128}$")]
    x: Annotated[str, AfterValidator(_check_x)]
    use: Literal["sig"] = "sig"
    alg: Literal["EdDSA", "Ed25519"] = "EdDSA"

    @model_validator(mode="before")
    @classmethod
    def _is_public(cls, members: Any) -> Any:
        if isinstance(members, dict) and "d" in members:
            raise ValueError("is a private key; a key set has public halves alone")
        return members

    def public(self) -> Ed25519PublicKey:
        return Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(f"{self.x}="))


class _KeySet(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    keys: Annotated[list[_Key], Field(min_length=1, max_length=_KEYS_MAX)]


def _find_repeated(keys: list[_Key]) -> Iterator[str]:
    first: dict[tuple[str, str], int] = {}
    for index, key in enumerate(keys):
        for member in ("kid", "x"):
            same = first.setdefault((member, getattr(key, member)), index)
            if same != index:
                yield f"keys[{index}].{member}: is that of keys[{same}] too"
