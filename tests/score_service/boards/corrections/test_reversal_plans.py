"""Plans of reversals on real stores."""

import asyncio
import uuid
from dataclasses import replace

import pytest
from tests.fixtures.ledgers.archiving import Archiving
from tests.fixtures.ledgers.periods import DAY, MONDAY, LedgerClock, save_settings
from tests.fixtures.servers.stores import is_projected, make_award

from score_service.boards.awards.scheduler import Scheduler
from score_service.boards.awards.scoring import Scoring
from score_service.boards.corrections.corrector import Corrector
from score_service.boards.corrections.reversal_plans import Correction, ReversalPlans
from score_service.domain.ledger.history import AwardFilter
from score_service.domain.ledger.position import Position
from score_service.domain.ledger.reversal import ReversalRequest
from score_service.domain.tokens.plan_token import PlanToken
from score_service.errors import (
    AwardReversedError,
    BoardNotFoundError,
    InvalidRequestError,
    PlanStaleError,
)
from score_service.projection.projection import Projection
from score_service.reconcile.projector import Projector
from score_service.record.archive import Archive
from score_service.record.boards import BoardStore
from score_service.record.corrections import Corrections
from score_service.record.database import Database
from score_service.record.history import History
from score_service.record.ledger import Ledger

BUG = Correction("a buggy backend", "spiffe://test.local/operator", "", "")
PUZZLE = AwardFilter(action_id="puzzle_1")


class Plans(ReversalPlans):
    """Plans of a replica of its own."""

    def __init__(self, record: Database, projector: Projector) -> None:
        self.corrector = Corrector(Corrections(record), projector)
        super().__init__(
            BoardStore(record),
            Ledger(record),
            History(record),
            Archive(record),
            self.corrector,
            awards_max=1_000,
        )


@pytest.fixture
def plans(record: Database, projector: Projector) -> Plans:
    return Plans(record, projector)


@pytest.fixture
def scoring(ledger: Ledger, projector: Projector, scheduler: Scheduler) -> Scoring:
    return Scoring(ledger, projector, scheduler)


async def give(scoring: Scoring, count: int, action_id: str = "puzzle_1") -> None:
    outcomes = await scoring.award_all(
        [make_award(f"user-{n % 7}", 1, action_id=action_id) for n in range(count)]
    )
    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]


async def test_an_apply_takes_back_page_after_page_and_the_ranks_follow(
    plans: Plans, scoring: Scoring, ledger: Ledger, projection: Projection
) -> None:
    await give(scoring, 600)
    await give(scoring, 3, "puzzle_2")
    plan = await plans.plan("main", PUZZLE)
    applied = await plans.apply("main", PUZZLE, plan.token.text, BUG)

    assert (plan.token.awards, plan.token.points, plan.token.users) == (600, 600, 7)
    assert (applied.token, applied.reversed) == (plan.token, 600)
    assert (await ledger.read_head("main")).revision == 1_203
    assert await is_projected(ledger, projection)


async def test_an_apply_that_has_no_more_time_says_how_far_it_came_and_goes_on_when_it_is_asked_again(
    plans: Plans, scoring: Scoring, ledger: Ledger
) -> None:
    await give(scoring, 600)
    token = (await plans.plan("main", PUZZLE)).token.text
    reversed_so_far = [
        (await plans.apply("main", PUZZLE, token, BUG, timeout_seconds=0)).reversed for _ in range(4)
    ]

    assert reversed_so_far == [250, 500, 600, 600]
    assert (await ledger.read_head("main")).revision == 1_200


async def test_an_apply_that_is_told_to_stop_ends_with_its_page(plans: Plans, scoring: Scoring) -> None:
    await give(scoring, 600)
    token = (await plans.plan("main", PUZZLE)).token.text
    plans.stop()
    assert (await plans.apply("main", PUZZLE, token, BUG)).reversed == 250


async def test_replicas_that_apply_a_plan_at_once_take_each_award_back_once(
    record: Database, projector: Projector, scoring: Scoring, ledger: Ledger
) -> None:
    replicas = [Plans(record, projector) for _ in range(2)]
    await give(scoring, 600)
    token = (await replicas[0].plan("main", PUZZLE)).token.text

    applied = await asyncio.gather(*(plans.apply("main", PUZZLE, token, BUG) for plans in replicas))

    assert [one.reversed for one in applied] == [600, 600]
    assert (await ledger.read_head("main")).revision == 1_200


async def test_callers_that_ask_the_same_at_once_share_the_work(
    plans: Plans, scoring: Scoring, ledger: Ledger
) -> None:
    await give(scoring, 10)
    one, other = await asyncio.gather(plans.plan("main", PUZZLE), plans.plan("main", PUZZLE))
    applied = await asyncio.gather(*(plans.apply("main", PUZZLE, one.token.text, BUG) for _ in range(3)))

    assert one is other
    assert applied[0] is applied[1] is applied[2]
    assert (await ledger.read_head("main")).revision == 20


async def test_an_apply_whose_caller_gave_up_goes_on(plans: Plans, scoring: Scoring, ledger: Ledger) -> None:
    await give(scoring, 600)
    token = (await plans.plan("main", PUZZLE)).token.text
    call = asyncio.create_task(plans.apply("main", PUZZLE, token, BUG))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await plans.finish()
    assert (await ledger.read_head("main")).revision == 1_200


async def test_the_ids_of_its_reversals_follow_from_the_plan_and_the_award(
    plans: Plans, scoring: Scoring, record: Database
) -> None:
    await give(scoring, 3)
    token = (await plans.plan("main", PUZZLE)).token
    await plans.apply("main", PUZZLE, token.text, BUG)

    for award in (await History(record).list_awards("main", None, 100, 10)).awards:
        assert award.reversal is not None
        assert award.reversal.reversal_id == str(uuid.uuid5(uuid.UUID(token.plan_id), award.award_id))
        assert award.reversal.reason == "a buggy backend"


async def test_a_plan_does_not_hold_once_the_settings_of_the_board_are_others(
    plans: Plans, scoring: Scoring, board_store: BoardStore, ledger: Ledger
) -> None:
    await give(scoring, 3)
    token = (await plans.plan("main", PUZZLE)).token.text
    await save_settings(board_store)

    with pytest.raises(PlanStaleError):
        await plans.apply("main", PUZZLE, token, BUG)
    assert (await ledger.read_head("main")).revision == 4


async def test_a_plan_of_another_history_or_another_filter_does_not_hold(
    plans: Plans, scoring: Scoring, ledger: Ledger
) -> None:
    await give(scoring, 3)
    token = (await plans.plan("main", PUZZLE)).token
    other_history = replace(token, position=Position(3, "0" * 16)).text

    for chosen, text in ((PUZZLE, other_history), (AwardFilter(action_id="puzzle_2"), token.text)):
        with pytest.raises(PlanStaleError):
            await plans.apply("main", chosen, text, BUG)
    assert (await ledger.read_head("main")).revision == 3


async def test_a_plan_of_too_many_awards_is_rejected(plans: Plans, scoring: Scoring) -> None:
    await give(scoring, 1_001)
    with pytest.raises(InvalidRequestError) as caught:
        await plans.plan("main", PUZZLE)
    assert set(caught.value.fields) == {"filter"}


async def test_there_is_no_plan_of_a_board_that_there_is_not(plans: Plans) -> None:
    token = PlanToken(str(uuid.uuid4()), Position.start("none"), 0, "", 1, 1, 1)
    with pytest.raises(BoardNotFoundError):
        await plans.plan("none", PUZZLE)
    with pytest.raises((BoardNotFoundError, PlanStaleError, InvalidRequestError)):
        await plans.apply("none", PUZZLE, token.text, BUG)


async def test_an_id_of_a_plan_that_another_award_has_is_told(plans: Plans, scoring: Scoring) -> None:
    await give(scoring, 2)
    other = make_award("ada", 1, action_id="puzzle_2")
    await scoring.award(other)
    token = (await plans.plan("main", PUZZLE)).token
    first = make_award("ada", 1)
    await scoring.award(first)
    history = plans._history
    (selected, *_) = await history.select_awards("main", PUZZLE, 0, 100, 10)
    stolen = ReversalRequest(other.award_id, token.reversal_id(selected.award_id), "a trick")
    await plans.corrector.reverse("main", stolen, actor=BUG.actor, trace_id="")

    with pytest.raises(AwardReversedError):
        await plans.apply("main", PUZZLE, token.text, BUG)


async def test_a_plan_counts_from_the_cut_on(plans: Plans, scoring: Scoring, archiving: Archiving) -> None:
    await give(scoring, 3)
    await archiving.cut_and_delete()
    await give(scoring, 2)
    plan = await plans.plan("main", PUZZLE)
    assert (plan.token.awards, plan.token.points, plan.token.users) == (2, 2, 2)
    assert (await plans.apply("main", PUZZLE, plan.token.text, BUG)).reversed == 2
    assert (await plans.apply("main", PUZZLE, plan.token.text, BUG)).reversed == 2


async def test_a_plan_does_not_hold_if_awards_of_it_may_be_archived_since(
    plans: Plans, scoring: Scoring, archiving: Archiving, ledger: Ledger, ledger_clock: LedgerClock
) -> None:
    await give(scoring, 3)
    ledger_clock.set(MONDAY + DAY)
    await give(scoring, 2)
    later = PUZZLE._replace(recorded_from=MONDAY + DAY)
    early = await plans.plan("main", PUZZLE)
    late = await plans.plan("main", later)
    await archiving.cut(3)
    head = await ledger.read_head("main")

    with pytest.raises(PlanStaleError):
        await plans.apply("main", PUZZLE, early.token.text, BUG)

    assert await ledger.read_head("main") == head
    assert (await plans.apply("main", later, late.token.text, BUG)).reversed == 2


async def test_a_plan_from_before_the_cut_does_not_hold(
    plans: Plans, scoring: Scoring, archiving: Archiving
) -> None:
    await give(scoring, 3)
    plan = await plans.plan("main", PUZZLE)
    await give(scoring, 2)
    await archiving.cut(5)
    with pytest.raises(PlanStaleError):
        await plans.apply("main", PUZZLE, plan.token.text, BUG)
