"""What looks like an attempt to cheat or to break in: counted, and told in the log.

An outside issuer may sign one `jti` twice, another result, more than it may give, or very many tickets: what
its genuine tickets end with makes nobody suspect.

A suspicion is no proof. Honest players mistype, and their clients send again what got no answer; so a signal
tells by its rate, and by who and where its events come from. What is rejected, and how, is decided elsewhere:
this only reads the error that a request ends with.

Everything is counted, and kept for moderators where it is known whom it is about. Events are bounded, so that
they cannot fill the disk. None holds a token, an answer, a password or a name that was typed; user and action
are those of the request's other lines.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum, auto
from typing import Final, NamedTuple

import structlog
from prometheus_client import CollectorRegistry, Counter
from starlette.datastructures import Address
from starlette.requests import Request
from starlette.responses import Response

from action_gateway import errors
from action_gateway.edge.exception_handlers import Handler
from action_gateway.limits.limits import LIMITS, find_site
from action_gateway.moderation.surges import Surges
from action_gateway.request_context import find_user
from service_runtime.telemetry.throttle import Throttle

EVENTS_A_SECOND: Final = 5
"""Of each signal."""

_log = structlog.get_logger(__name__)


class Signal(StrEnum):
    """What there may be to suspect."""

    WRONG_ANSWER = auto()
    ATTEMPTS_SPENT = auto()
    """An answer with an action token that has no attempts left."""
    TOO_FAST = auto()
    TOKEN_REUSED = auto()
    """An action token or a ticket that was paid for already. So does a client whose answer got lost, unless
    it sends an `Idempotency-Key`."""
    TOKEN_FOREIGN = auto()
    """An action token of another user."""
    TOKEN_FORGED = auto()
    """An action token or a ticket that is not ours, was changed, is of another kind, or came with another
    result. Text of no such form is none."""
    ACCESS_TOKEN_FORGED = auto()
    """The same of an access token. One that has expired is none."""
    REFRESH_REUSED = auto()
    """A refresh token from before the last one: it was copied, and its session has ended."""
    BAD_CREDENTIALS = auto()
    RATE_LIMITED = auto()
    """More of something than one user or address may do. Want of room in a process is none."""
    POINTS_SURGE = auto()
    """More points in a minute than `Surges` takes for ordinary."""


_WARNINGS: Final = frozenset(
    {Signal.TOKEN_FOREIGN, Signal.TOKEN_FORGED, Signal.ACCESS_TOKEN_FORGED, Signal.REFRESH_REUSED}
)
"""What the clients of honest players do not do by themselves."""


class Suspicion(NamedTuple):
    """What is suspected of one request, and what is known of it beyond the request itself."""

    signal: Signal
    known: Mapping[str, str] = {}


def find_suspicion(error: Exception) -> Suspicion | None:  # noqa: C901, PLR0911 - it is a table
    """Return what the error that a request ends with makes suspect of it, if anything."""
    match error:
        case errors.WrongAnswerError():
            return Suspicion(Signal.WRONG_ANSWER)
        case errors.ActionTokenSpentError():
            return Suspicion(Signal.ATTEMPTS_SPENT)
        case errors.TooFastError():
            return Suspicion(Signal.TOO_FAST)
        case errors.ActionTokenUsedError(repeated=False):
            return Suspicion(Signal.TOKEN_REUSED)
        case errors.TicketUsedError(is_outside=False):
            return Suspicion(Signal.TOKEN_REUSED)
        case errors.ActionTokenForeignError():
            return Suspicion(Signal.TOKEN_FOREIGN)
        case (
            errors.BadActionTokenError(forged=True)
            | errors.BadTicketError(forged=True)
            | errors.TicketDataMismatchError(is_outside=False)
        ):
            return Suspicion(Signal.TOKEN_FORGED)
        case errors.UnauthenticatedError(forged=True):
            return Suspicion(Signal.ACCESS_TOKEN_FORGED)
        case errors.BadRefreshTokenError(reused_of=str(user_id)):
            return Suspicion(Signal.REFRESH_REUSED, {"user_id": user_id})
        case errors.BadCredentialsError(user_id=user_id):
            return Suspicion(Signal.BAD_CREDENTIALS, {"user_id": user_id} if user_id else {})
        case errors.RateLimitedError(limit=str(limit)) if limit != "redeem_outside":
            return Suspicion(Signal.RATE_LIMITED, {"limit": limit})
    return None


class Suspicions:
    """Counts suspicions and tells of them."""

    def __init__(
        self,
        registry: CollectorRegistry,
        clock: Callable[[], float] = time.monotonic,
        *,
        note_user: Callable[[str, str], None] = lambda _user_id, _signal: None,
        surges: Surges | None = None,
    ) -> None:
        """Take seconds that never step back, what is told each user and signal, and what judges payments."""
        self._clock = clock
        self._note_user = note_user
        self._surges = surges or Surges(floor=0)
        self._suspicions = Counter(
            "gateway_suspicions",
            "Requests that look like an attempt to cheat or to break in, by what is suspected. No proof: "
            "honest players mistype, and clients repeat requests.",
            ["signal"],
            registry=registry,
        )
        self._limited = Counter(
            "gateway_rate_limited",
            "Requests rejected because one user or address did too much of one thing, by the limit. Want of "
            "room in the process is counted by gateway_requests_rejected_total.",
            ["limit"],
            registry=registry,
        )
        for signal in Signal:
            self._suspicions.labels(signal)
        for limit in LIMITS:
            self._limited.labels(limit)
        self._events = {signal: Throttle(EVENTS_A_SECOND, clock) for signal in Signal}

    def note(self, error: Exception, client: Address | None) -> None:
        """Count and tell what is suspicious about a request from this address that failed so."""
        if isinstance(error, errors.RateLimitedError) and error.limit is not None:
            self._limited.labels(error.limit).inc()
        if (suspicion := find_suspicion(error)) is not None:
            self._tell(suspicion, address=find_site(client.host if client else ""))

    def note_payment(self, user_id: str, points: int) -> None:
        """Count and tell it if a user gets points faster than anyone should."""
        if self._surges.note(user_id, points, self._clock()):
            self._tell(Suspicion(Signal.POINTS_SURGE, {"user_id": user_id}))

    def _tell(self, suspicion: Suspicion, **place: str) -> None:
        signal, known = suspicion
        self._suspicions.labels(signal).inc()
        if user_id := known.get("user_id") or find_user():
            self._note_user(user_id, signal)
        if (left_out := self._events[signal].let_through()) is not None:
            tell = _log.warning if signal in _WARNINGS else _log.info
            tell("suspicion", signal=signal.value, left_out=left_out, **place, **known)

    @contextmanager
    def watching(self, client: Address | None) -> Iterator[None]:
        """Note the error that ends the block."""
        try:
            yield
        except errors.GatewayError as error:
            self.note(error, client)
            raise

    def before(self, handler: Handler) -> Handler:
        """Note each error that a handler of errors is given, and let it do its work."""

        async def handle(request: Request, error: errors.GatewayError) -> Response:
            self.note(error, request.client)
            return await handler(request, error)

        return handle
