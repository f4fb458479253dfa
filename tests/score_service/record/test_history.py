"""Looking back on a real PostgreSQL: awards with what became of them, and plans of reversals."""

import datetime as dt
import random
import uuid

import pytest
from tests.fixtures.ledgers.archiving import Archiving
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
from tests.fixtures.servers.stores import make_award

from score_service.domain.board.period import NO_SCHEDULE, Schedule
from score_service.domain.ledger.award import Award
from score_service.domain.ledger.history import (
    AwardFilter,
    LedgerAward,
    PlannedReversals,
    RankMove,
    SelectedAward,
)
from score_service.domain.ledger.reversal import Reversal, ReversalRequest
from score_service.domain.ledger.visibility import Visibility
from score_service.record.boards import BoardStore
from score_service.record.corrections import Corrections
from score_service.record.database import Database as Record
from score_service.record.history import History
from score_service.record.ledger import MAX_REVISION, Ledger
from score_service.record.standings import Standings

NOON = MONDAY + 12 * HOUR


@pytest.fixture
def history(record: Record) -> History:
    return History(record)


async def award(ledger: Ledger, *awards: Award, schedule: Schedule = NO_SCHEDULE) -> list[Award]:
    """Record awards in one commit."""
    written(await ledger.record_awards("main", awards, schedule))
    return list(awards)


async def reverse(corrections: Corrections, *awards: Award) -> list[Reversal]:
    requests = [ReversalRequest(award.award_id, str(uuid.uuid4()), "leaked") for award in awards]
    batch = await corrections.reverse_awards(
        "main", requests, actor="spiffe://test.local/operator", trace_id=""
    )
    return [result for result in batch.results if isinstance(result, Reversal)]


async def test_award_is_listed_as_it_was_made_with_its_reversal(
    ledger: Ledger,
    corrections: Corrections,
    history: History,
    board_store: BoardStore,
    ledger_clock: LedgerClock,
) -> None:
    await save_settings(board_store)
    dated = make_award("ada", 3)._replace(occurred_at=NOON - HOUR, trace_id="0" * 31 + "1")
    _, late = await award(ledger, dated, make_award("ada", 4), schedule=DAYS_AND_WEEKS)
    (reversal,) = await reverse(corrections, late)

    listed, _ = await history.list_awards("main", "ada", MAX_REVISION, 10)

    assert [item.reversal for item in listed] == [reversal, None]
    assert listed[1] == LedgerAward(
        award_id=dated.award_id,
        revision=2,
        user_id="ada",
        points=3,
        total=3,
        action_type="puzzle",
        action_id="puzzle_1",
        caller="spiffe://test.local/backend",
        trace_id="0" * 31 + "1",
        recorded_at=NOON,
        occurred_at=NOON - HOUR,
        periods=(day().period_id, week().period_id),
        reversal=None,
    )
    assert (listed[0].occurred_at, listed[0].total) == (None, 7)


@pytest.mark.parametrize("user_id", [None, "ada"])
async def test_awards_are_listed_page_by_page_newest_first(
    ledger: Ledger, history: History, user_id: str | None
) -> None:
    await award(ledger, *(make_award(user) for user in ("ada", "bob", "ada", "ada", "bob")))
    await ledger.record_awards("other", [make_award("ada", board_id="other")])
    expected = [5, 4, 3, 2, 1] if user_id is None else [4, 3, 1]

    listed, before = list[int](), MAX_REVISION
    while page := (await history.list_awards("main", user_id, before, 2)).awards:
        listed += (item.revision for item in page)
        before = listed[-1]

    assert listed == expected
    assert await history.list_awards("nothing", user_id, MAX_REVISION, 2) == ([], 0)


async def test_users_of_different_boards_are_told_apart(ledger: Ledger, history: History) -> None:
    await ledger.record_awards("a", [make_award("b", board_id="a")])
    await ledger.record_awards("b", [make_award("a", board_id="b")])

    listed, _ = await history.list_awards("a", "b", MAX_REVISION, 5)
    assert [item.user_id for item in listed] == ["b"]
    assert (await history.list_awards("a", "a", MAX_REVISION, 5)).awards == []


async def test_filter_selects_what_each_of_its_fields_says(
    ledger: Ledger, corrections: Corrections, history: History, ledger_clock: LedgerClock
) -> None:
    awards = list[Award]()
    for hour, user in enumerate(("ada", "bob", "ada", "cyd")):
        ledger_clock.set(NOON + hour * HOUR)
        item = make_award(user, hour + 1, action_id=f"puzzle_{hour % 2}")
        item = item._replace(action_type="quiz" if hour == 3 else "puzzle")
        item = item._replace(caller=f"spiffe://test.local/{hour // 2}")
        awards += await award(ledger, item)
    ledger_clock.set(NOON + 5 * HOUR)
    (gone,) = await award(ledger, make_award("ada"))
    await reverse(corrections, gone)

    async def select(limit: int = 10, after: int = 0, upto: int = 99, **fields: object) -> list[int]:
        chosen = AwardFilter(**fields)  # type: ignore[arg-type]
        found = await history.select_awards("main", chosen, after, upto, limit)
        assert found == [
            SelectedAward(awards[n].award_id, n + 1, awards[n].user_id, awards[n].points)
            for n in (item.revision - 1 for item in found)
        ]
        plan = await history.plan_reversals("main", chosen, upto)
        if (limit, after) == (10, 0):
            assert plan[:3] == (len(found), sum(i.points for i in found), len({i.user_id for i in found}))
        return [item.revision for item in found]

    assert await select(user_id="ada") == [1, 3]
    assert await select(caller="spiffe://test.local/1") == [3, 4]
    assert await select(action_id="puzzle_0") == [1, 3]
    assert await select(action_type="quiz") == [4]
    assert await select(recorded_from=NOON + HOUR) == [2, 3, 4]
    assert await select(recorded_until=NOON + HOUR) == [1]
    assert await select(recorded_from=NOON + HOUR, recorded_until=NOON + 3 * HOUR) == [2, 3]
    assert await select(recorded_from=NOON - dt.timedelta(days=400)) == [1, 2, 3, 4]
    assert await select(recorded_from=NOON + dt.timedelta(days=400)) == []
    assert await select(action_id="puzzle_0", user_id="ada", caller="spiffe://test.local/0") == [1]
    assert await select(user_id="nobody") == []
    assert await select(action_type="puzzle", upto=2) == [1, 2]
    assert await select(action_type="puzzle", limit=1, after=1) == [2]


async def test_plan_says_what_ranks_would_be(
    ledger: Ledger, corrections: Corrections, history: History
) -> None:
    bad = "puzzle_bad"
    await award(
        ledger,
        make_award("ada", 10),
        make_award("ada", 90, action_id=bad),
        make_award("bob", 50),
        make_award("cyd", 40, action_id=bad),
        make_award("dan", 10),
        make_award("eve", 99, action_id=bad),
        make_award("fay", 5),
        make_award("gil", 1000, action_id=bad),
    )
    await corrections.set_visibility(
        "main", "gil", Visibility.HIDDEN, "-", actor="spiffe://test.local/x", on_behalf_of="", trace_id=""
    )

    plan = await history.plan_reversals("main", AwardFilter(action_id=bad), 99)

    assert plan == PlannedReversals(
        4,
        1229,
        4,
        (
            RankMove("ada", 100, 10, 1, 2),  # Before dan, who reached 10 later.
            RankMove("eve", 99, 0, 2, None),
            RankMove("bob", 50, 50, 3, 1),
            RankMove("cyd", 40, 0, 4, None),
            RankMove("dan", 10, 10, 5, 3),
            RankMove("fay", 5, 5, 6, 4),
        ),
    )


async def test_plan_of_nothing_moves_nobody(ledger: Ledger, history: History) -> None:
    await award(ledger, make_award("ada"))

    assert await history.plan_reversals("main", AwardFilter(user_id="bob"), 9) == PlannedReversals(
        0, 0, 0, ()
    )
    assert await history.plan_reversals("none", AwardFilter(user_id="a"), 9) == PlannedReversals(0, 0, 0, ())


@pytest.mark.parametrize("seed", range(4))
async def test_plan_comes_true(
    ledger: Ledger, corrections: Corrections, history: History, standings: Standings, seed: int
) -> None:
    choose = random.Random(seed)
    users = [f"user-{number}" for number in range(130)]
    awards = await award(
        ledger,
        *(
            make_award(choose.choice(users), choose.randint(1, 3), action_id=f"puzzle_{choose.randint(0, 2)}")
            for _ in range(500)
        ),
    )
    await reverse(corrections, *choose.sample(awards, 60))
    for user, visibility in zip(
        choose.sample(users, 6), [Visibility.HIDDEN, Visibility.SHADOWED] * 3, strict=True
    ):
        await corrections.set_visibility(
            "main", user, visibility, "-", actor="spiffe://test.local/x", on_behalf_of="", trace_id=""
        )
    before = {s.user_id: s for s in (await standings.list_standings("main", 200)).top}
    chosen = AwardFilter(action_id="puzzle_1")
    head = await ledger.read_head("main")

    plan = await history.plan_reversals("main", chosen, head.revision)
    selected = await history.select_awards("main", chosen, 0, head.revision, 1000)
    by_id = {item.award_id: item for item in awards}
    await reverse(corrections, *(by_id[item.award_id] for item in selected))

    after = {s.user_id: s for s in (await standings.list_standings("main", 200)).top}
    expected = [
        RankMove(user, old.total, new.total if new else 0, old.rank, new.rank if new else None)
        for user, old in before.items()
        for new in [after.get(user)]
        if min(old.rank or 0, (new.rank if new else None) or 999) <= 100
        and (new is None or (old.rank, old.total) != (new.rank, new.total))
    ]
    assert list(plan.moves) == expected
    assert plan.awards == len(selected)
    assert await history.select_awards("main", chosen, 0, head.revision, 10) == []


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_awards_up_to_the_cut_are_not_listed_nor_selected_nor_planned_with(
    ledger: Ledger,
    corrections: Corrections,
    history: History,
    archiving: Archiving,
    ledger_clock: LedgerClock,
    *,
    is_deleted: bool,
) -> None:
    awards = list[Award]()
    for hours, user in enumerate(("ada", "bob", "ada", "ada", "bob", "ada")):
        ledger_clock.set(MONDAY + 2 * hours * HOUR)
        awards += await award(ledger, make_award(user, 1 + hours))
    await reverse(corrections, awards[4])  # Revision 7; that of the cut is 8.
    await archiving.cut(3)
    if is_deleted:
        await archiving.delete()

    async def list_awards(user_id: str | None, before: int = MAX_REVISION) -> tuple[list[int], int]:
        page = await history.list_awards("main", user_id, before, 10)
        return [item.revision for item in page.awards], page.archived_revision

    async def select(chosen: AwardFilter, after: int = 0, limit: int = 10) -> list[int]:
        return [a.revision for a in await history.select_awards("main", chosen, after, 99, limit)]

    assert await list_awards(None) == ([6, 5, 4], 3)
    assert await list_awards("ada") == ([6, 4], 3)
    assert await list_awards("ada", before=6) == ([4], 3)
    assert await list_awards("ada", before=3) == await list_awards(None, before=2) == ([], 3)
    assert await list_awards("bob") == ([5], 3)
    assert await list_awards("nobody") == ([], 3)
    assert await select(AwardFilter()) == await select(AwardFilter(), after=2) == [4, 6]
    assert await select(AwardFilter(), limit=1) == [4]
    assert await select(AwardFilter(user_id="ada")) == [4, 6]
    for hours, expected in ((0, []), (4, []), (5, []), (7, [4]), (11, [4, 6])):
        until = MONDAY + hours * HOUR
        assert await select(AwardFilter(recorded_until=until)) == expected
        assert await select(AwardFilter(recorded_from=until)) == [n for n in (4, 6) if n not in expected]
    planned = await history.plan_reversals("main", AwardFilter(user_id="ada"), 99)
    assert (planned.awards, planned.points, planned.users) == (2, 10, 1)
    assert planned.moves == (RankMove("ada", 14, 4, 1, 1),)
