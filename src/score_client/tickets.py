"""Tickets: a backend with a registered key gives players the right to one award each, without a call.

    key = TicketKey.read("ticket-key.pem")
    result = {"match": 4711, "place": 1}
    token = issue(
        key, issuer="https://match.example.org", board_id="main", user_id="ada", points=10, action_id="match",
        result=result,
    )

The bearer of the token redeems it, once, with the same result as `data`, at `POST /api/v1/score/update` of a
gateway that knows the issuer. This module takes the extra `tickets`; nothing here needs a network.
"""

import hashlib
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Final, Self

import jwt
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from score_client.errors import CredentialsError, InvalidRequestError
from service_runtime.tls.jwk import describe_key, encode_base64url, find_thumbprint
from service_runtime.tls.pem import parse_key

TYPE: Final = "score-ticket+jwt"
"""`typ` of a ticket, which with `AUDIENCE` tells it from every other token (RFC 8725, 3.11 and 3.12)."""
AUDIENCE: Final = "laurel-score-ticket"
ALGORITHM: Final = "EdDSA"
LIFETIME_SECONDS: Final = 10
LIFETIME_SECONDS_MAX: Final = 60
POINTS_MAX: Final = 1_000_000
"""What the contract allows one award."""
RESULT_BYTES_MAX: Final = 15 * 1024
"""Of a result in canonical form. A gateway takes a body of 16 KiB, and a client may send spaces, too."""
RESULT_DEPTH_MAX: Final = 100
"""Objects and arrays in each other. The parser of a gateway ends at 200, with those around the result."""

IDENTIFIER: Final = re.compile(r"[A-Za-z0-9._:@-]{1,128}")
"""What the contract allows ids of boards, users and actions to be."""
TICKET_ID: Final = re.compile(r"[!-~]{1,128}")
"""What `jti` may be: printable ASCII without spaces."""
ISSUER: Final = re.compile(r"[!-~]{1,255}")
"""What `iss` of an outside issuer may be."""


@dataclass(frozen=True, slots=True, repr=False)
class TicketKey:
    """An Ed25519 key that signs tickets.

    Attributes:
        key_id: Its name, `kid`, in the key set that the gateway knows.
        private: The key.
    """

    key_id: str
    private: Ed25519PrivateKey

    @classmethod
    def read(cls, file: str | PathLike[str], key_id: str | None = None) -> Self:
        """Read a private key, PEM, not encrypted.

        Args:
            file: Where it lies. `openssl genpkey -algorithm ed25519 -out FILE` makes one.
            key_id: Its name; by default the RFC 7638 thumbprint of its public half.

        Raises:
            CredentialsError: It cannot be read, or is no Ed25519 key.
        """
        try:
            key = parse_key(Path(file).read_bytes())
        except OSError as error:
            raise _unusable(f"The key of tickets cannot be used: {error}") from error
        except ValueError as error:
            raise _unusable(f"{file} {error}.") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise _unusable(f"{file} is not an Ed25519 key.")
        return cls(key_id or find_thumbprint(key.public_key()), key)

    def to_jwk(self) -> dict[str, str]:
        """Describe the public half as a JSON Web Key, for the key set that the gateway knows."""
        return describe_key(self.private.public_key(), self.key_id)


def issue(  # noqa: PLR0913 - each is a claim
    key: TicketKey,
    *,
    issuer: str,
    board_id: str,
    user_id: str,
    points: int,
    action_id: str,
    result: object,
    ticket_id: str | None = None,
    lifetime_seconds: int = LIFETIME_SECONDS,
    now: float | None = None,
) -> str:
    """Sign a ticket. Nothing is asked and nothing is kept.

    Args:
        key: What signs it.
        issuer: `iss`, as the gateway has it registered.
        board_id: Where the points count.
        user_id: Who gets them: a user id of the gateway, or one of the issuer's own, as it is registered.
        points: How many, 1 to 1,000,000, and not more than is registered.
        action_id: What they are for.
        result: What is redeemed with the ticket as `data`: any JSON, within `RESULT_BYTES_MAX` and
            `RESULT_DEPTH_MAX`.
        ticket_id: Of all tickets of the issuer for the board with the same one, one is paid. Name what
            happened by it, and it pays once however often a ticket is issued; by default it is random.
        lifetime_seconds: How long the ticket is good, 1 to 60, and not longer than is registered.
        now: Seconds since 1970; by default what the clock says.

    Raises:
        InvalidRequestError: No gateway would take such a ticket; `fields` says why.
    """
    digest, faults = _sign_result(result)
    faults |= _find_faults(issuer, board_id, user_id, action_id, ticket_id)
    faults |= _find_range_faults(points, lifetime_seconds)
    if faults:
        said = "; ".join(f"{name} {fault}" for name, fault in faults.items())
        raise InvalidRequestError("INVALID_TICKET", f"The ticket is not as it has to be: {said}.", faults)
    claims = make_claims(
        ticket_id=str(uuid.uuid4()) if ticket_id is None else ticket_id,
        user_id=user_id,
        board_id=board_id,
        points=points,
        action_id=action_id,
        digest=digest,
        issued_at=int(time.time() if now is None else now),
        lifetime_seconds=lifetime_seconds,
    )
    payload = {**claims, "iss": issuer, "aud": AUDIENCE}
    headers = {"typ": TYPE, "kid": key.key_id}
    return jwt.encode(payload, key.private, algorithm=ALGORITHM, headers=headers)


def make_claims(
    *,
    ticket_id: str,
    user_id: str,
    board_id: str,
    points: int,
    action_id: str,
    digest: str,
    issued_at: int,
    lifetime_seconds: int,
) -> dict[str, Any]:
    """Return what a ticket says, besides who has issued it and for whom: `iss` and `aud`."""
    return {
        "sub": user_id,
        "jti": ticket_id,
        "board": board_id,
        "points": points,
        "action": action_id,
        "digest": digest,
        "iat": issued_at,
        "nbf": issued_at,
        "exp": issued_at + lifetime_seconds,
    }


def find_digest(result: object) -> str:
    """Return the SHA-256 of a result in the canonical form of RFC 8785, in base64url without padding.

    Raises:
        ValueError: It is no JSON, or holds an integer that is not exact in JavaScript, or text that is no
            Unicode.
    """
    return _digest(_write_canonical(result))


def find_digest_to_sign(result: object) -> str:
    """Return the digest of a result that clients are to send back.

    Raises:
        ValueError: It has none, or no gateway would take the result from a client; says why.
    """
    try:
        text = _write_canonical(result)
        depth = _find_depth(result)
    except (ValueError, RecursionError):
        raise ValueError("must be JSON that JavaScript reads exactly") from None
    if len(text) > RESULT_BYTES_MAX or depth > RESULT_DEPTH_MAX:
        bounds = f"{RESULT_BYTES_MAX:,} bytes, nested {RESULT_DEPTH_MAX} deep"
        raise ValueError(f"must make a result of at most {bounds}")
    return _digest(text)


def _write_canonical(result: object) -> bytes:
    return rfc8785.dumps(result)  # type: ignore[arg-type]  # Checked there.


def _digest(text: bytes) -> str:
    return encode_base64url(hashlib.sha256(text).digest())


def _find_depth(result: object) -> int:
    if isinstance(result, dict):
        result = result.values()
    elif not isinstance(result, list | tuple):
        return 0
    return 1 + max(map(_find_depth, result), default=0)


def _sign_result(result: object) -> tuple[str, dict[str, str]]:
    try:
        return find_digest_to_sign(result), {}
    except ValueError as error:
        return "", {"result": str(error)}


def _find_faults(
    issuer: str, board_id: str, user_id: str, action_id: str, ticket_id: str | None
) -> dict[str, str]:
    identifiers = {"board_id": board_id, "user_id": user_id, "action_id": action_id}
    faults = {
        name: "must be 1 to 128 characters of [A-Za-z0-9._:@-]"
        for name, value in identifiers.items()
        if not _fits(IDENTIFIER, value)
    }
    if not _fits(ISSUER, issuer):
        faults["issuer"] = "must be 1 to 255 printable characters of ASCII, without spaces"
    if ticket_id is not None and not _fits(TICKET_ID, ticket_id):
        faults["ticket_id"] = "must be 1 to 128 printable characters of ASCII, without spaces"
    return faults


def _find_range_faults(points: int, lifetime_seconds: int) -> Mapping[str, str]:
    ranges = {"points": (points, POINTS_MAX), "lifetime_seconds": (lifetime_seconds, LIFETIME_SECONDS_MAX)}
    return dict(_outside(ranges))


def _outside(ranges: Mapping[str, tuple[object, int]]) -> Iterator[tuple[str, str]]:
    for name, (value, largest) in ranges.items():
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= largest:
            yield name, f"must be a whole number from 1 to {largest:,}"


def _fits(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _unusable(message: str) -> CredentialsError:
    return CredentialsError("CREDENTIALS_UNUSABLE", message)
