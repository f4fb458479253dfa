"""What a client may say on a WebSocket, and what follows from it. Pure.

     start ──── token on the handshake ───▶ OPEN ──┐ auth of the same user: open for longer
       │                                   ▲    ◀──┘
       └──▶ WAITING ──── auth message ─────┘
                │                          │
                └──── anything else ───────┴──▶ EndedError, or UnauthenticatedError for a bad token

Clients only ever say one thing, `{"type": "auth", "accessToken": "…"}`. A token in the URL is not looked at.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from action_gateway.accounts.tokens import Access
from action_gateway.edge.authentication import find_token
from action_gateway.errors import UnauthenticatedError
from action_gateway.streams.endings import EndedError, Ending

MESSAGE_BYTES_MAX = 4096
"""Of a message from a client. The server that reads the socket enforces it, with close code 1009."""
_MESSAGES_MAX = 10
_MESSAGES_SECONDS = 60.0

Verify = Callable[[str], Access]
"""Tells whom an access token speaks for. Raises UnauthenticatedError."""


class AuthMessage(BaseModel):
    """The message that brings an access token."""

    type: Literal["auth"]
    access_token: str | None = Field(default=None, alias="accessToken")


class Conversation:
    """One client's side of a WebSocket."""

    def __init__(self, verify: Verify) -> None:
        self._verify = verify
        self._times: deque[float] = deque(maxlen=_MESSAGES_MAX)
        self.access: Access | None = None
        """The user and until when the token is valid; None before the client has authenticated."""

    def greet(self, authorization: list[str]) -> Access | None:
        """Take the Authorization headers of the handshake; None if there are none and a message must come."""
        if not authorization:
            return None
        return self._authenticate(find_token(authorization))

    def receive(self, text: str | None, now: float) -> Access:
        """Take a message (None: a binary one) and the time in seconds, and tell until when it may go on."""
        self._count(now)
        if text is None:
            raise EndedError(Ending.PROTOCOL)
        try:
            message = AuthMessage.model_validate_json(text)
        except ValidationError:
            raise EndedError(Ending.PROTOCOL) from None
        return self._authenticate(message.access_token or "")

    def _count(self, now: float) -> None:
        if len(self._times) == _MESSAGES_MAX and now - self._times[0] < _MESSAGES_SECONDS:
            raise EndedError(Ending.TOO_MANY_MESSAGES)
        self._times.append(now)

    def _authenticate(self, token: str) -> Access:
        access = self._verify(token)
        if self.access is not None and self.access.user_id != access.user_id:
            raise UnauthenticatedError
        self.access = max(self.access or access, access, key=lambda one: one.expires_at)
        return self.access


def allows_origin(origins: Sequence[str], host: str | None, allowed: frozenset[str]) -> bool:
    """Return whether a page may open a socket, by its Origin headers and the host it asked for.

    Programs that are no browsers send no Origin. A page of the same host may always; others must be listed.
    """
    if not origins:
        return True
    if len(origins) > 1:
        return False
    origin = origins[0].lower()
    own = {f"{scheme}://{host.lower()}" for scheme in ("http", "https")} if host else set()
    return origin in own | allowed
