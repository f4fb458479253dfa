"""The projection compared with the record on real servers: planted faults are found, and nothing else is."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from redis.asyncio import Redis
from tests.fixtures.ledgers.archiving import Archiving
from tests.fixtures.ledgers.correcting import Correcting
from tests.fixtures.servers.stores import NO_RETRIES, eventually, make_award

from score_service.domain.ledger.findings import Fault, Finding
from score_service.domain.standings.ties import MEMBER_DIGITS, MEMBER_ORIGIN
from score_service.errors import ProjectionUnavailableError
from score_service.projection.projection import Projection
from score_service.reconcile import auditor as auditor_module
from score_service.reconcile.auditor import AuditLoop, Auditor, BoardAudit
from score_service.reconcile.projector import Projector
from score_service.reconcile.rebuild.rebuilder import Rebuilder
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore
from score_service.record.standings import Standings

COMMITS = [[("ada", 10), ("bob", 5), ("ada", 3)], [("cyd", 7), ("bob", 1)], [("ada", 2)]]
"""Six awards in three commits: ada ends with 15 at revision 6, bob with 6 at 5, cyd with 7 at 4."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a board, to break them behind the service's back."""

    redis: "Redis"
    header: str
    ranks: str
    totals: str

    async def hold(self, user_id: str, total: int, reached: int) -> None:
        """Set both entries of a user."""
        await self.redis.hset(self.totals, user_id, f"{total}:{reached}")
        await self.redis.zadd(self.ranks, {member(user_id, reached): total})

    async def drop(self, user_id: str, reached: int) -> None:
        """Remove both entries of a user."""
        await self.redis.hdel(self.totals, user_id)
        await self.redis.zrem(self.ranks, member(user_id, reached))

    async def say(self, members: int) -> None:
        """Set the number of members in the header."""
        await self.redis.hset(self.header, "members", members)


Plant = Callable[[Keys], Awaitable[object]]


def member(user_id: str, reached: int) -> str:
    return f"{MEMBER_ORIGIN - reached:0{MEMBER_DIGITS}}{user_id}"


async def both(*works: Awaitable[object]) -> None:
    for work in works:
        await work


WRONG_BOB = [Finding(Fault.PROJECTION_WRONG, None, "bob")]
DRIFTS: dict[str, tuple[Plant, list[Finding]]] = {
    "wrong total": (lambda k: k.redis.hset(k.totals, "bob", "7:5"), WRONG_BOB),
    "wrong score": (lambda k: k.redis.zadd(k.ranks, {member("bob", 5): 7}), WRONG_BOB),
    "wrong total and score": (lambda k: k.hold("bob", 7, 5), WRONG_BOB),
    "entry that is no standing": (lambda k: k.redis.hset(k.totals, "bob", "six"), WRONG_BOB),
    "reached too early": (lambda k: both(k.drop("bob", 5), k.hold("bob", 6, 3)), WRONG_BOB),
    "reached in the future": (lambda k: both(k.drop("bob", 5), k.hold("bob", 6, 900)), WRONG_BOB),
    "wrong prefix of the member": (
        lambda k: both(k.redis.zrem(k.ranks, member("bob", 5)), k.redis.zadd(k.ranks, {member("bob", 4): 6})),
        WRONG_BOB,
    ),
    "ghost in the place of an entry": (
        lambda k: both(k.redis.hdel(k.totals, "bob"), k.redis.hset(k.totals, "zed", "6:5")),
        WRONG_BOB,
    ),
    "ghost in the place of a member": (
        lambda k: both(k.redis.zrem(k.ranks, member("bob", 5)), k.redis.zadd(k.ranks, {member("zed", 5): 6})),
        WRONG_BOB,
    ),
    "ghost in the place of a user": (lambda k: both(k.drop("bob", 5), k.hold("zed", 6, 5)), WRONG_BOB),
    "ghost that the header counts": (
        lambda k: both(k.hold("zed", 6, 5), k.say(4)),
        [Finding(Fault.MEMBERS_WRONG)],
    ),
    "missing user that the header does not count": (
        lambda k: both(k.drop("bob", 5), k.say(2)),
        [Finding(Fault.MEMBERS_WRONG), *WRONG_BOB],
    ),
}
"""What is drift, planted in the history above; each differs in one user."""

OTHERS: dict[str, tuple[Plant, list[Finding]]] = {
    "missing entry": (lambda k: k.redis.hdel(k.totals, "bob"), [Finding(Fault.PROJECTION_BROKEN)]),
    "missing member": (
        lambda k: k.redis.zrem(k.ranks, member("bob", 5)),
        [Finding(Fault.PROJECTION_BROKEN)],
    ),
    "ghost": (lambda k: k.hold("zed", 6, 5), [Finding(Fault.PROJECTION_BROKEN)]),
    "evicted key": (lambda k: k.redis.delete(k.ranks), [Finding(Fault.PROJECTION_BROKEN)]),
    "no header": (lambda k: k.redis.delete(k.header), [Finding(Fault.PROJECTION_MISSING)]),
    "another history": (
        lambda k: k.redis.hset(k.header, "mark", "0" * 16),
        [Finding(Fault.PROJECTION_FOREIGN, 6)],
    ),
}
"""What the projector finds by itself."""


@pytest.fixture(autouse=True)
def _short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditor_module, "_PAGE", 2)
    monkeypatch.setattr(auditor_module, "_LOOK_SECONDS", 0.01)


@pytest.fixture
def auditor(ledger: Ledger, standings: Standings, periods: PeriodStore, projection: Projection) -> Auditor:
    return Auditor(ledger, standings, periods, projection, NO_RETRIES)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator["Redis"]:
    async with Redis.from_url(redis_url) as redis:
        yield redis


@pytest.fixture
async def keys(
    ledger: Ledger, rebuilder: Rebuilder, projection: Projection, redis: "Redis", redis_prefix: str
) -> Keys:
    """Make the history above and its projection, and return the keys."""
    for commit in COMMITS:
        await ledger.record_awards("main", [make_award(user, points) for user, points in commit])
    await rebuilder.rebuild("main")
    return await find_keys(projection, redis, redis_prefix)


async def find_keys(projection: Projection, redis: "Redis", prefix: str) -> Keys:
    header = await projection.read_header("main")
    assert header
    board = f"{prefix}{{main}}"
    period = f"{board}:{header.generation}:all_time"
    return Keys(redis, f"{board}:header", f"{period}:ranks", f"{period}:totals")


async def test_projection_as_the_record_leaves_nothing_to_find(
    auditor: Auditor, keys: Keys, ledger: Ledger
) -> None:
    audit = await auditor.audit_board("main")

    assert audit.findings.kept == []
    assert (audit.position, audit.members, audit.compared, audit.drift) == (
        await ledger.read_head("main"),
        3,
        3,
        0,
    )


@pytest.mark.parametrize(("plant", "expected"), DRIFTS.values(), ids=DRIFTS)
async def test_drift_is_found_and_named(
    auditor: Auditor, keys: Keys, plant: Plant, expected: list[Finding]
) -> None:
    await plant(keys)

    audit = await auditor.audit_board("main")

    assert audit.findings.kept == expected
    assert audit.drift == 1


@pytest.mark.parametrize(("plant", "expected"), OTHERS.values(), ids=OTHERS)
async def test_what_the_projector_repairs_is_reported_and_is_no_drift(
    auditor: Auditor, keys: Keys, plant: Plant, expected: list[Finding]
) -> None:
    await plant(keys)

    audit = await auditor.audit_board("main")

    assert audit.findings.kept == expected
    assert audit.drift == 0


async def test_projection_behind_is_reported_once_and_what_it_has_is_compared(
    auditor: Auditor, keys: Keys, ledger: Ledger
) -> None:
    await ledger.record_awards("main", [make_award(user) for user in ("ada", "dan", "eve", "fay")])
    await keys.hold("bob", 7, 5)

    audit = await auditor.audit_board("main")

    assert audit.findings.kept == [Finding(Fault.PROJECTION_BEHIND, 6), *WRONG_BOB]
    assert audit.drift == 1


async def test_projection_that_comes_on_in_time_is_not_behind(
    auditor: Auditor, keys: Keys, ledger: Ledger, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditor_module, "_LOOKS_MAX", 1000)
    await ledger.record_awards("main", [make_award(user) for user in ("ada", "dan", "eve", "fay")])

    audit, _ = await asyncio.gather(auditor.audit_board("main"), projector.catch_up("main"))

    assert audit.findings.kept == []
    assert audit.compared == 6


async def test_awards_and_rebuilds_meanwhile_are_no_drift(
    auditor: Auditor, keys: Keys, ledger: Ledger, projector: Projector, rebuilder: Rebuilder
) -> None:
    done = asyncio.Event()

    async def make_awards() -> None:
        while not done.is_set():
            users = [f"user{uuid.uuid4().int % 60}" for _ in range(5)]
            batch = await ledger.record_awards("main", [make_award(user, 1) for user in users])
            await projector.project(batch.changes)

    async def rebuild() -> None:
        while not done.is_set():
            await rebuilder.rebuild("main")
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(make_awards())
        tasks.create_task(rebuild())
        audits = [await auditor.audit_board("main") for _ in range(8)]
        done.set()

    assert [audit.findings.kept for audit in audits] == [[]] * 8
    assert audits[-1].compared > 3


async def test_progress_goes_to_the_number_of_members(auditor: Auditor, keys: Keys) -> None:
    told: list[tuple[str, int, int]] = []

    await auditor.audit_board("main", lambda *progress: told.append(progress))

    assert told == [("projection", 2, 3), ("projection", 3, 3)]


@pytest.mark.parametrize("plant", [plant for plant, _ in DRIFTS.values()], ids=DRIFTS)
async def test_round_repairs_what_it_finds(
    audit_loop: AuditLoop, auditor: Auditor, keys: Keys, plant: Plant
) -> None:
    await plant(keys)

    await audit_loop.make_round(asyncio.Event())
    assert (audit_loop.drift, audit_loop.repairs) == (1, 1)

    await audit_loop.make_round(asyncio.Event())
    assert (audit_loop.audited, audit_loop.drift, audit_loop.repairs) == (3, 0, 1)
    assert (await auditor.audit_board("main")).findings.kept == []


@pytest.fixture
def audit_loop(ledger: Ledger, auditor: Auditor, rebuilder: Rebuilder) -> AuditLoop:
    return AuditLoop(ledger, auditor, rebuilder, jitter=lambda: 0.5)


async def test_loop_goes_round_until_it_is_left(audit_loop: AuditLoop, keys: Keys) -> None:
    await keys.hold("bob", 7, 5)

    async def is_repaired() -> bool:
        return audit_loop.repairs == 1 and audit_loop.drift == 0

    async with audit_loop.running(0.01):
        await eventually(is_repaired)


class PartlyUnavailable(Auditor):
    """An auditor that cannot audit one board."""

    async def audit_board(self, board_id: str, on_progress: object = None) -> BoardAudit:
        if board_id == "broken":
            raise self.error
        return await super().audit_board(board_id)

    error: Exception = ProjectionUnavailableError()


@pytest.mark.parametrize("error", [ProjectionUnavailableError(), ZeroDivisionError()])
async def test_board_that_cannot_be_audited_keeps_no_other_from_it(
    ledger: Ledger,
    standings: Standings,
    periods: PeriodStore,
    projection: Projection,
    rebuilder: Rebuilder,
    keys: Keys,
    error: Exception,
) -> None:
    await ledger.record_awards("broken", [make_award(board_id="broken")])
    await keys.hold("bob", 7, 5)
    auditor = PartlyUnavailable(ledger, standings, periods, projection, NO_RETRIES)
    auditor.error = error
    loop = AuditLoop(ledger, auditor, rebuilder, jitter=lambda: 0)

    await loop.make_round(asyncio.Event())

    assert loop.repairs == 1
    assert (loop.audited, loop.drift) == (0, 0)  # The round was not complete.


async def test_users_whose_awards_were_all_taken_back_before_the_cut_are_no_fault(
    ledger: Ledger,
    projector: Projector,
    auditor: Auditor,
    archiving: Archiving,
    correcting: Correcting,
    standings: Standings,
) -> None:
    awards = [make_award(user, 5) for user in ("ada", "bob", "cyd")]
    await ledger.record_awards("main", awards)
    await correcting.reverse([awards[1].award_id])
    await archiving.cut_and_delete()
    await ledger.record_awards("main", [make_award("eve", 1)])
    await projector.catch_up("main")

    position, unranked = await standings.count_unranked("main")
    audit = await auditor.audit_board("main")

    assert (position, unranked) == (await ledger.read_head("main"), {"all_time": 1})
    assert (audit.compared, audit.members, audit.findings.kept) == (4, 4, [])
