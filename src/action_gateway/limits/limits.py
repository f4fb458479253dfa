"""How often a user or an address may do what costs something.

Counted in Redis, for all replicas together, over the last minute. Replicas whose settings differ share the
counts, and each rejects by its own. While Redis is unavailable, what players do goes on under the same limits
counted in this process alone. Logins and registrations are rejected: the count
is what stands between a password and guessing it.
"""

import asyncio
import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, get_args

import structlog
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError

from action_gateway import tracing
from action_gateway.errors import RateLimitedError, UnavailableError
from service_runtime.http.addresses import parse_address
from service_runtime.telemetry.logs import error_fields

Limit = Literal[
    "start", "complete", "perform", "redeem", "redeem_outside", "login", "register", "export", "moderate"
]
LIMITS: Final[tuple[str, ...]] = get_args(Limit)
IssuerLimit = Literal["issuer_redeem", "issuer_points"]
"""Of outside issuers. No player reaches them."""
_PAUSE_SECONDS: Final = 1.0
_V6_SITE_BITS: Final = 64

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rates:
    """What is allowed a minute."""

    starts: int
    completes: int
    redeems: int
    logins: int
    registrations: int
    exports: int
    moderations: int


class Limits:
    """Counts, and rejects what is too much with RateLimitedError."""

    def __init__(
        self,
        storage: Storage,
        rates: Rates,
        *,
        seconds: float = 0.5,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take where to count for all replicas together, and how long a count may take there."""
        self._shared = SlidingWindowCounterRateLimiter(storage)
        self._local = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._rates = rates
        self._seconds = seconds
        self._monotonic = monotonic
        self._unavailable_until = 0.0

    async def start(self, user_id: str) -> None:
        """Count an action started."""
        await self._count_leniently(self._rates.starts, "start", user_id)

    async def complete(self, user_id: str) -> None:
        """Count an answer sent."""
        await self._count_leniently(self._rates.completes, "complete", user_id)

    async def perform(self, user_id: str, action_id: str, rate: int) -> None:
        """Count an instant action, which has a rate of its own."""
        await self._count_leniently(rate, "perform", user_id, action_id)

    async def redeem(self, user_id: str) -> None:
        """Count a ticket shown."""
        await self._count_leniently(self._rates.redeems, "redeem", user_id)

    async def redeem_outside(self, user_id: str, issuer_name: str) -> None:
        """Count a ticket shown of an outside issuer, apart from those of others."""
        await self._count_leniently(self._rates.redeems, "redeem_outside", user_id, issuer_name)

    async def redeem_of_issuer(self, issuer_name: str, rate: int) -> None:
        """Count a ticket of an outside issuer, which has a rate of its own."""
        await self._count_leniently(rate, "issuer_redeem", issuer_name)

    async def pay_for_issuer(self, issuer_name: str, rate: int, points: int) -> None:
        """Count points that an outside issuer gives, which has a rate of its own."""
        await self._count_leniently(rate, "issuer_points", issuer_name, cost=points)

    async def export(self, user_id: str) -> None:
        """Count an export of an account."""
        await self._count_leniently(self._rates.exports, "export", user_id)

    async def moderate(self, user_id: str) -> None:
        """Count a call of a moderator."""
        await self._count_leniently(self._rates.moderations, "moderate", user_id)

    async def log_in(self, address: str, username: str) -> None:
        """Count a login. Raises UnavailableError while Redis is unavailable."""
        await self._count_strictly(self._rates.logins, "login", find_site(address), username.lower())

    async def register(self, address: str) -> None:
        """Count a registration. Raises UnavailableError while Redis is unavailable."""
        await self._count_strictly(self._rates.registrations, "register", find_site(address))

    async def _count_leniently(self, rate: int, limit: Limit | IssuerLimit, *key: str, cost: int = 1) -> None:
        try:
            await self._count_strictly(rate, limit, *key, cost=cost)
        except UnavailableError:
            await _hit(self._local, rate, limit, key, cost)

    async def _count_strictly(self, rate: int, limit: Limit | IssuerLimit, *key: str, cost: int = 1) -> None:
        if self._monotonic() < self._unavailable_until:
            raise UnavailableError
        try:
            with tracing.count(limit):
                async with asyncio.timeout(self._seconds):
                    await _hit(self._shared, rate, limit, key, cost)
        except (StorageError, TimeoutError) as error:
            # For a moment nobody else has to wait to find out the same.
            self._unavailable_until = self._monotonic() + _PAUSE_SECONDS
            _log.warning("limits_not_shared", **error_fields(error.__cause__ or error))
            raise UnavailableError from error


class _Rate(RateLimitItemPerMinute):
    def key_for(self, *identifiers: str | bytes | float) -> str:
        # That of the library has the rate, so that replicas with other rates would count each on its own, and
        # a user who has used up a rate would start again where it is changed.
        return "/".join(map(str, identifiers))


async def _hit(
    limiter: SlidingWindowCounterRateLimiter,
    rate: int,
    limit: Limit | IssuerLimit,
    key: tuple[str, ...],
    cost: int,
) -> None:
    item = _Rate(rate)
    if not await limiter.hit(item, limit, *key, cost=cost):
        stats = await limiter.get_window_stats(item, limit, *key)
        raise RateLimitedError(max(1.0, stats.reset_time - time.time()), limit)


def find_site(address: str) -> str:
    """Reduce an address to what one customer of a network has: of IPv6 that is a whole /64.

    Text that is no address is all one site, `unknown`.
    """
    try:
        parsed = parse_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, _V6_SITE_BITS), strict=False))
    return str(parsed)
