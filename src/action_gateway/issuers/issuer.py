"""An outside issuer: a backend that signs tickets by itself, and what it may give by them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

RESERVED_NAMES: Final = frozenset({"gateway", "unknown"})
"""They would be mistaken in metrics: for this gateway, and for issuers that nobody has registered."""


class Users(StrEnum):
    """Whose ids the subjects of an issuer's tickets are."""

    ACCOUNTS = "accounts"
    """Those of accounts of this gateway."""
    OWN = "own"
    """The issuer's: on a board they come after its name and a colon, and so are never those of another."""


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """The public half of a key of an issuer."""

    public: Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class Issuer:
    """An outside issuer."""

    issuer: str
    """`iss` of its tickets."""
    name: str
    """Its short name, for the ledger, metrics, and ids of its own users."""
    keys: Mapping[str, IssuerKey]
    """By key id."""
    boards: frozenset[str]
    points_max: int
    """Of one ticket."""
    lifetime_seconds: int
    """The longest time from `iat` to `exp`."""
    points_per_minute: int
    """Of all its tickets, at all gateways."""
    redeems_per_minute: int
    """The same."""
    users: Users

    def find_user_id(self, subject: str) -> str:
        """Return who is meant on a board by the subject of a ticket."""
        return subject if self.users is Users.ACCOUNTS else f"{self.name}:{subject}"
