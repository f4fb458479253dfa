"""How much outside issuers may give in a minute, and to whom."""

import asyncio
from collections.abc import Collection, Mapping

import pytest
from limits.aio.storage import MemoryStorage
from limits.errors import StorageError
from prometheus_client import CollectorRegistry
from tests.fixtures.clients.outside_issuers import OutsideIssuer, write_issuers

from action_gateway.domain.ticket import Ticket
from action_gateway.errors import BadTicketError, RateLimitedError
from action_gateway.issuers.allowance import Allowance
from action_gateway.issuers.register import Register
from action_gateway.issuers.rejections import Rejections
from action_gateway.limits.limits import Limits, Rates

RATES = Rates(starts=1, completes=1, redeems=1, logins=1, registrations=1, exports=1, moderations=1)


class SlowStorage(MemoryStorage):
    """Counts, and lets others come in between."""

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        await asyncio.sleep(0)
        return await super().acquire_sliding_window_entry(key, limit, expiry, amount)


class AbsentStorage(MemoryStorage):
    """Is unavailable."""

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        raise StorageError(ConnectionError())


async def fetch_usernames(user_ids: Collection[str]) -> Mapping[str, str | None]:
    known = {"ada": "Ada", "bob": None}
    return {user_id: known[user_id] for user_id in user_ids if user_id in known}


@pytest.fixture
def register(match_issuer: OutsideIssuer, quiz_issuer: OutsideIssuer) -> Register:
    entries = [
        match_issuer.entry() | {"points_per_minute": 100, "redeems_per_minute": 4},
        quiz_issuer.entry() | {"points_per_minute": 100},
    ]
    return Register(write_issuers(match_issuer.folder / "ticket-issuers.toml", entries), own_issuer="laurel")


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def allowance_with(storage: MemoryStorage, register: Register, registry: CollectorRegistry) -> Allowance:
    return Allowance(register, Limits(storage, RATES), Rejections(registry), fetch_usernames)


@pytest.fixture
def allowance(register: Register, registry: CollectorRegistry) -> Allowance:
    return allowance_with(SlowStorage(), register, registry)


def ticket(
    number: int, points: int = 10, name: str = "match", user_id: str = "match:ada", board_id: str = "main"
) -> Ticket:
    return Ticket(
        issuer=f"https://{name}.example.org" if name else "laurel",
        ticket_id=str(number),
        user_id=user_id,
        board_id=board_id,
        points=points,
        action_id="duel",
        digest="",
        issued_at=0,
        expires_at=10,
        issuer_name=name,
    )


def rejected(registry: CollectorRegistry, reason: str, issuer: str = "match") -> float:
    labels = {"issuer": issuer, "reason": reason}
    return registry.get_sample_value("gateway_tickets_rejected_total", labels) or 0


async def test_a_ticket_is_counted_once_however_often_it_is_shown(allowance: Allowance) -> None:
    for _ in range(20):
        await allowance.count(ticket(1, points=50))
    await asyncio.gather(*(allowance.count(ticket(2, points=50)) for _ in range(20)))
    with pytest.raises(RateLimitedError):
        await allowance.count(ticket(3, points=1))


async def test_a_ticket_that_is_limited_is_not_let_through_by_another_showing_of_it(
    allowance: Allowance, registry: CollectorRegistry
) -> None:
    await allowance.count(ticket(1, points=95))
    shown = [allowance.count(ticket(2, points=10)) for _ in range(3)]
    outcomes = await asyncio.gather(*shown, return_exceptions=True)

    assert [type(one) for one in outcomes] == [RateLimitedError] * 3
    assert rejected(registry, "points_per_minute") + rejected(registry, "redeems_per_minute") == 3


async def test_a_ticket_that_waits_for_points_does_not_use_up_the_tickets_of_others(
    allowance: Allowance, registry: CollectorRegistry
) -> None:
    await allowance.count(ticket(1, points=95))
    for _ in range(20):
        with pytest.raises(RateLimitedError):
            await allowance.count(ticket(2, points=10))

    assert rejected(registry, "points_per_minute") == 20
    await allowance.count(ticket(3, points=5))


@pytest.mark.parametrize(
    "other", [ticket(1, points=100), ticket(1, points=1, board_id="arena")], ids=["points", "board"]
)
async def test_what_was_counted_for_an_id_does_not_cover_other_points_or_another_board(
    allowance: Allowance, other: Ticket
) -> None:
    await allowance.count(ticket(1, points=1))
    await allowance.count(ticket(2, points=99))
    with pytest.raises(RateLimitedError):
        await allowance.count(other)


async def test_a_showing_that_is_cancelled_holds_no_other_up(allowance: Allowance) -> None:
    first = asyncio.create_task(allowance.count(ticket(1)))
    await asyncio.sleep(0)
    second = asyncio.create_task(allowance.count(ticket(1)))
    await asyncio.sleep(0)
    first.cancel()
    await second


async def test_an_issuer_has_a_rate_of_tickets_that_names_no_limit_of_players(
    allowance: Allowance, registry: CollectorRegistry
) -> None:
    for number in range(4):
        await allowance.count(ticket(number, points=1))
    with pytest.raises(RateLimitedError) as caught:
        await allowance.count(ticket(4, points=1))

    assert caught.value.limit is None
    assert caught.value.retry_after >= 1
    assert rejected(registry, "redeems_per_minute") == 1
    await allowance.count(ticket(4, points=1, name="quiz"))


async def test_without_redis_each_process_counts_by_itself(
    register: Register, registry: CollectorRegistry
) -> None:
    allowance = allowance_with(AbsentStorage(), register, registry)
    await allowance.count(ticket(1, points=100))
    with pytest.raises(RateLimitedError):
        await allowance.count(ticket(2, points=1))
    assert rejected(registry, "points_per_minute") == 1


async def test_an_account_exists_or_is_not_paid(allowance: Allowance, registry: CollectorRegistry) -> None:
    await allowance.check_user(ticket(1, name="quiz", user_id="ada"))
    for user_id in ("bob", "nobody"):
        with pytest.raises(BadTicketError):
            await allowance.check_user(ticket(1, name="quiz", user_id=user_id))
    assert rejected(registry, "unknown_user", "quiz") == 2
    await allowance.check_user(ticket(1, user_id="match:nobody"))


async def test_tickets_of_the_gateway_pass(allowance: Allowance, registry: CollectorRegistry) -> None:
    for number in range(10):
        own = ticket(number, points=1_000, name="", user_id="nobody")
        await allowance.check_user(own)
        await allowance.count(own)
        allowance.note_denial(own)
    assert rejected(registry, "score_service_denied", "") == 0


async def test_an_issuer_that_was_removed_meanwhile_gives_nothing(registry: CollectorRegistry) -> None:
    allowance = allowance_with(SlowStorage(), Register(None, own_issuer="laurel"), registry)
    with pytest.raises(BadTicketError):
        await allowance.count(ticket(1))
