"""What signs tokens, outside of a gateway."""

import base64
import uuid
from pathlib import Path
from typing import ClassVar

import jwt
import pytest
from prometheus_client import CollectorRegistry
from tests.fixtures.clients.outside_issuers import OutsideIssuer, write_issuers
from tests.fixtures.services.gateway import MovableClock, add_signing_key

from action_gateway.accounts.keys import KeyFolder
from action_gateway.accounts.score_tickets import ScoreTickets
from action_gateway.accounts.tokens import AccessTokens, ActionTokens
from action_gateway.domain.action import Repeat, StartedAction
from action_gateway.errors import BadActionTokenError, BadTicketError, UnauthenticatedError
from action_gateway.issuers.outside_tickets import AnyTickets, OutsideTickets
from action_gateway.issuers.register import Register
from action_gateway.issuers.rejections import Rejections
from score_client.tickets import find_digest


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Signers:
    """Every kind of signed token, and a good one of each."""

    def __init__(self, folder: Path) -> None:
        clock = MovableClock()
        for kind in ("access", "action"):
            add_signing_key(folder / kind)
        access_keys = KeyFolder(folder / "access")
        self.access = AccessTokens(access_keys, issuer="laurel", lifetime=900, clock=clock)
        action_keys = KeyFolder(folder / "action")
        self.action = ActionTokens(action_keys, issuer="laurel")
        own = ScoreTickets(action_keys, issuer="laurel", lifetime=10, clock=clock)
        self.issuer, self.other_issuer = (
            OutsideIssuer(folder / "issuers"),
            OutsideIssuer(folder / "issuers", "quiz"),
        )
        entries = [self.issuer.entry(), self.other_issuer.entry()]
        file = write_issuers(folder / "issuers" / "ticket-issuers.toml", entries)
        register = Register(file, own_issuer="laurel")
        outside = OutsideTickets(register, Rejections(CollectorRegistry()), clock)
        self.ticket = self.outside = AnyTickets(own, outside)
        self.header = {"alg": "EdDSA", "typ": "at+jwt", "kid": access_keys.signing_key().key_id}
        self.access_token = self.access.issue(str(uuid.uuid4()))
        started = StartedAction(
            user_id=str(uuid.uuid4()),
            action_id="quick",
            version=1,
            board_id="main",
            points=5,
            repeat=Repeat.UNLIMITED,
            min_ms=0,
            nonce=uuid.uuid4(),
            started_at_ms=int(clock() * 1000),
            expires_at=int(clock()) + 600,
        )
        self.action_token = self.action.issue(started)
        self.ticket_token, _ = own.issue(started, find_digest({"actionId": "quick"}))
        self.outside_token: str = self.issuer.issue()["token"]
        self.keys = {
            "access": access_keys.signing_key(),
            "action": action_keys.signing_key(),
            "ticket": action_keys.signing_key(),
            "outside": self.issuer.signing_key(),
        }

    def typ(self, kind: str) -> str:
        """Return the `typ` of a kind of token."""
        typ: str = jwt.get_unverified_header(getattr(self, f"{kind}_token"))["typ"]
        return typ

    errors: ClassVar = {
        "access": UnauthenticatedError,
        "action": BadActionTokenError,
        "ticket": BadTicketError,
        "outside": BadTicketError,
    }

    def reject(self, token: str) -> None:
        """Check that a text passes for no kind, and fails as is described."""
        with pytest.raises(UnauthenticatedError):
            self.access.verify(token)
        with pytest.raises(BadActionTokenError):
            self.action.verify(token)
        with pytest.raises(BadTicketError):
            self.ticket.verify(token)
