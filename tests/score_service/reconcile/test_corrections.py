"""Boards of which awards are taken back and users are hidden: caught up, rebuilt and audited."""

import asyncio
import random
from collections.abc import Iterator
from itertools import cycle
from typing import Any, cast

import pytest
from tests.fixtures.ledgers.correcting import Correcting
from tests.fixtures.ledgers.headcounts import heads
from tests.fixtures.ledgers.periods import (
    DAYS_AND_WEEKS,
    HOUR,
    MONDAY,
    LedgerClock,
    day,
    save_settings,
    week,
    written,
)
from tests.fixtures.ledgers.steps import Stepped
from tests.fixtures.servers.redis import delete_keys, restore_keys, save_keys
from tests.fixtures.servers.stores import NO_RETRIES, make_award

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.changes import Changes
from score_service.domain.ledger.findings import Fault
from score_service.domain.ledger.visibility import Visibility
from score_service.projection.projection import Projection
from score_service.reconcile.auditor import AuditLoop, Auditor
from score_service.reconcile.projector import Projector
from score_service.reconcile.rebuild.rebuilder import Rebuilder
from score_service.record.boards import BoardStore
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore
from score_service.record.standings import Standings

USERS = [f"user{i}" for i in range(6)]
PLACES = (ALL_TIME, day().period_id, week().period_id)


class Board:
    """A board with days and weeks, and what happens on it."""

    def __init__(self, ledger: Ledger, correcting: Correcting) -> None:
        self._ledger = ledger
        self._correcting = correcting
        self._standing = list[str]()
        """The awards that were not taken back, the oldest first."""

    async def award(self, *users: str, points: int = 2) -> Changes:
        awards = [make_award(user, points) for user in users]
        self._standing += [award.award_id for award in awards]
        return written(await self._ledger.record_awards("main", awards, DAYS_AND_WEEKS)).changes

    async def show(self, user: str, visibility: Visibility) -> Changes:
        return await self._correcting.show(user, visibility)

    async def reverse(self, number: int) -> Changes:
        """Take back an award, by its place among those that stand."""
        return await self._correcting.reverse([self._standing.pop(number)])

    async def happen(self, what: Iterator[str], draw: random.Random) -> None:
        """Have the next of several things happen."""
        user = draw.choice(USERS)
        match next(what):
            case "award":
                await self.award(user, f"new{draw.randrange(9)}")
            case "reverse":
                await self.reverse(draw.randrange(len(self._standing)))
            case visibility:
                await self.show(user, Visibility(visibility))


@pytest.fixture
async def board(
    ledger: Ledger, board_store: BoardStore, ledger_clock: LedgerClock, correcting: Correcting
) -> Board:
    ledger_clock.set(MONDAY + 12 * HOUR)
    await save_settings(board_store, "main")
    board = Board(ledger, correcting)
    for round_ in range(2):
        await board.award(*USERS[round_:])
    return board


@pytest.fixture
def auditor(ledger: Ledger, standings: Standings, periods: PeriodStore, projection: Projection) -> Auditor:
    return Auditor(ledger, standings, periods, projection, NO_RETRIES)


async def require_equal(projection: Projection, standings: Standings, auditor: Auditor) -> None:
    """Compare all that both stores answer."""
    users = [*USERS, *(f"new{i}" for i in range(9))]
    for place in PLACES:
        cached = await projection.get_standings("main", users, 100, place)
        recorded = await standings.get_standings("main", users, place)
        page = await standings.list_standings("main", 100, "", place)
        assert cached
        assert (cached.position, cached.users) == (recorded.position, recorded.users)
        assert (cached.top, cached.entrants) == (page.top, page.entrants)
        for user in users:
            around = await projection.list_standings_around("main", user, 1, place)
            assert around
            assert around.top == (await standings.list_standings_around("main", user, 1, place)).top
    audit = await auditor.audit_board("main")
    assert (audit.drift, [str(finding) for finding in audit.findings.kept]) == (0, [])


@pytest.mark.parametrize("seed", range(4))
async def test_rebuild_while_awards_are_made_and_taken_back_and_users_hidden_ends_at_the_record(
    ledger: Ledger,
    standings: Standings,
    periods: PeriodStore,
    projection: Projection,
    auditor: Auditor,
    board: Board,
    seed: int,
) -> None:
    draw = random.Random(seed)
    kinds = ["award", "reverse", "hidden", "shadowed", "visible", "reverse"]
    draw.shuffle(kinds)
    what = cycle(kinds)

    async def happen(step: str) -> None:
        # Less often towards the end: a rebuild waits until it has come near the head.
        if step in {"read_page", "count_page", "count_unranked", "list_newcomers", "read_changes"}:
            await board.happen(what, draw)

    stores = [Stepped(store, happen) for store in (ledger, standings, periods, projection)]
    rebuilder = Rebuilder(*cast("tuple[Any, Any, Any, Any]", stores), NO_RETRIES, page_size=2)

    assert await rebuilder.rebuild("main")

    header = await projection.read_header("main")
    assert header
    changes = await ledger.read_changes("main", header.position)
    while changes:
        await projection.apply_changes(changes)
        changes = await ledger.read_changes("main", changes.after)
    await require_equal(projection, standings, auditor)


@pytest.mark.parametrize("what", ["reverse", "hidden", "shadowed", "visible"])
async def test_redis_that_was_taken_back_to_before_a_correction_follows_it_again(
    standings: Standings,
    projection: Projection,
    projector: Projector,
    auditor: Auditor,
    board: Board,
    redis_url: str,
    redis_prefix: str,
    what: str,
) -> None:
    await board.show("user1", Visibility.HIDDEN)
    await projector.catch_up("main")
    saved = await save_keys(redis_url, redis_prefix)
    changes = await (board.reverse(0) if what == "reverse" else board.show("user1", Visibility(what)))
    if changes.before != changes.after:
        await projector.project(changes)
    await require_equal(projection, standings, auditor)

    await restore_keys(redis_url, redis_prefix, saved)
    await projector.catch_up("main")

    await require_equal(projection, standings, auditor)


async def test_correction_of_a_board_that_redis_lost_is_in_what_is_rebuilt(
    standings: Standings,
    projection: Projection,
    projector: Projector,
    auditor: Auditor,
    board: Board,
    redis_url: str,
    redis_prefix: str,
) -> None:
    await projector.catch_up("main")
    await delete_keys(redis_url, redis_prefix)
    await board.show("user2", Visibility.SHADOWED)
    await board.reverse(0)  # The only one of user0.

    await projector.catch_up("main")

    header = await projection.read_header("main")
    assert header
    assert header.all_time == heads(6, hidden=2)
    assert header.periods == dict.fromkeys(PLACES[1:], heads(6, hidden=2))
    await require_equal(projection, standings, auditor)


async def test_user_who_comes_back_after_all_was_taken_back_is_no_newcomer(
    rebuilder: Rebuilder,
    standings: Standings,
    projection: Projection,
    projector: Projector,
    auditor: Auditor,
    board: Board,
) -> None:
    await board.reverse(0)
    await projector.catch_up("main")
    await board.award("user0")

    assert (await auditor.audit_board("main")).drift == 0
    assert await rebuilder.rebuild("main")
    await require_equal(projection, standings, auditor)


@pytest.mark.parametrize("mistake", ["shown", "flag", "left", "hidden"])
async def test_ranks_that_are_not_the_record_s_are_found_and_mended(
    ledger: Ledger,
    standings: Standings,
    projection: Projection,
    projector: Projector,
    rebuilder: Rebuilder,
    auditor: Auditor,
    board: Board,
    redis: Any,
    redis_prefix: str,
    mistake: str,
) -> None:
    await board.show("user1", Visibility.HIDDEN)
    await projector.catch_up("main")
    (ranks,) = [key async for key in redis.scan_iter(f"{redis_prefix}*:{ALL_TIME}:ranks")]
    (totals,) = [key async for key in redis.scan_iter(f"{redis_prefix}*:{ALL_TIME}:totals")]
    header = f"{redis_prefix}{{main}}:header"
    total, reached, version, flag = (await redis.hget(totals, "user1")).split(":")
    assert flag == "h"
    own = f"{2**53 - 1 - int(reached):016}user1"
    match mistake:
        case "shown":  # As if it had never been hidden, in both keys.
            await redis.zadd(ranks, {own: int(total)})
            await redis.hset(totals, "user1", f"{total}:{reached}:{version}")
            await redis.hset(header, "ranked", 6)
        case "flag":
            await redis.hset(totals, "user1", f"{total}:{reached}:{version}:s")
        case "left":
            await redis.zadd(ranks, {f"{1:016}ghost": 3})
            await redis.hset(header, "ranked", 6)
        case _:
            await redis.zrem(ranks, (await redis.zrange(ranks, 0, 0))[0])
            await redis.hset(header, "ranked", 4)

    audit = await auditor.audit_board("main")

    assert audit.drift
    assert {*audit.findings.counts} <= {Fault.MEMBERS_WRONG, Fault.PROJECTION_WRONG}
    loop = AuditLoop(ledger, auditor, rebuilder, jitter=lambda: 0.5)
    await loop.make_round(asyncio.Event())
    await projector.catch_up("main")
    assert loop.repairs == 1
    await require_equal(projection, standings, auditor)


async def test_audit_finds_no_drift_while_users_are_hidden_and_shown(
    projector: Projector, auditor: Auditor, board: Board
) -> None:
    await projector.catch_up("main")
    is_over = asyncio.Event()

    async def correct() -> None:
        draw, what = random.Random(1), cycle(["hidden", "reverse", "award", "visible", "award", "shadowed"])
        while not is_over.is_set():
            await board.happen(what, draw)
            await projector.catch_up("main")

    correcting = asyncio.create_task(correct())
    audits = [await auditor.audit_board("main") for _ in range(3)]
    is_over.set()
    await correcting

    assert [audit.drift for audit in audits] == [0, 0, 0]
