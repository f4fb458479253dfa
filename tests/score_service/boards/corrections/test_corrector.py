"""Corrections on real stores: an accepted one ends, also without its caller, and whatever Redis does."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs
from tests.fixtures.ledgers.archiving import Archiving
from tests.fixtures.servers.redis import access_to_nobody
from tests.fixtures.servers.stores import is_projected, make_award, make_projector

from score_service.boards.awards.scheduler import Scheduler
from score_service.boards.awards.scoring import Scoring
from score_service.boards.corrections.corrector import Corrector
from score_service.domain.ledger.award import Award
from score_service.domain.ledger.reversal import Reversal, ReversalRequest
from score_service.domain.ledger.visibility import Visibility
from score_service.errors import (
    AwardNotFoundError,
    AwardReversedError,
    HistoryArchivedError,
    OverloadedError,
    StandingNotFoundError,
)
from score_service.projection.projection import Projection, ProjectionSettings
from score_service.reconcile.projector import Projector
from score_service.record.corrections import Corrections, VisibilitySet
from score_service.record.database import Database
from score_service.record.ledger import Ledger
from score_service.record.standings import Standings

ACTOR = "spiffe://test.local/operator"


@pytest.fixture
def corrections(record: Database) -> Corrections:
    return Corrections(record)


@pytest.fixture
def made() -> Counter[str]:
    """Return how many corrections of each kind were made."""
    return Counter()


@pytest.fixture
def corrector(corrections: Corrections, projector: Projector, made: Counter[str]) -> Corrector:
    return Corrector(corrections, projector, on_made=lambda kind, count: made.update({kind: count}))


@pytest.fixture
def scoring(ledger: Ledger, projector: Projector, scheduler: Scheduler) -> Scoring:
    return Scoring(ledger, projector, scheduler)


def request_for(award: Award, reversal_id: str = "") -> ReversalRequest:
    return ReversalRequest(award.award_id, reversal_id or str(uuid.uuid4()), "a leaked answer", "eve")


async def reverse(corrector: Corrector, request: ReversalRequest) -> Reversal:
    return (await corrector.reverse("main", request, actor=ACTOR, trace_id="")).reversal


async def hide(
    corrector: Corrector, user_id: str, visibility: Visibility = Visibility.HIDDEN
) -> VisibilitySet:
    return await corrector.set_visibility(
        "main", user_id, visibility, "a cheater", actor=ACTOR, on_behalf_of="eve", trace_id=""
    )


async def test_a_reversal_is_in_the_record_and_in_the_ranks_when_it_is_answered(
    corrector: Corrector, scoring: Scoring, ledger: Ledger, projection: Projection, made: Counter[str]
) -> None:
    kept, taken = make_award("ada", 5), make_award("ada", 9)
    for award in (kept, taken, make_award("bob", 7)):
        await scoring.award(award)

    outcome = await corrector.reverse("main", request_for(taken), actor=ACTOR, trace_id="")

    assert (outcome.reversal.total, outcome.rank, outcome.replayed) == (5, 2, False)
    assert await is_projected(ledger, projection)
    assert made == {"reversal": 1}


async def test_a_reversal_asked_for_again_has_the_rank_of_today_and_is_counted_once(
    corrector: Corrector, scoring: Scoring, made: Counter[str]
) -> None:
    kept, taken = make_award("ada", 5), make_award("ada", 9)
    for award in (kept, taken, make_award("bob", 7)):
        await scoring.award(award)
    request = request_for(taken)
    first = await corrector.reverse("main", request, actor=ACTOR, trace_id="")
    await scoring.award(make_award("ada", 10))

    again = await corrector.reverse("main", request, actor=ACTOR, trace_id="")

    assert again.reversal == first.reversal
    assert (again.rank, again.replayed) == (1, True)
    assert made == {"reversal": 1}


async def test_of_many_at_once_one_reversal_is_made_and_all_are_told_which(
    corrector: Corrector, scoring: Scoring, ledger: Ledger, made: Counter[str]
) -> None:
    award = make_award("ada", 5)
    await scoring.award(award)
    same = request_for(award)
    requests = [same] * 10 + [request_for(award) for _ in range(10)]

    outcomes = await asyncio.gather(
        *(reverse(corrector, request) for request in requests), return_exceptions=True
    )

    reversals = [
        outcome.reversal if isinstance(outcome, AwardReversedError) else outcome for outcome in outcomes
    ]
    assert reversals == [reversals[0]] * 20
    assert (await ledger.read_head("main")).revision == 2
    assert made == {"reversal": 1}


async def test_a_cancelled_call_does_not_cancel_a_correction_that_has_begun(
    corrections: Corrections, projector: Projector, scoring: Scoring, ledger: Ledger
) -> None:
    corrector = Corrector(corrections, projector, at_once=10)
    awards = [make_award(f"user-{n}", 1) for n in range(10)]
    await scoring.award_all(awards)
    calls = [asyncio.create_task(reverse(corrector, request_for(award))) for award in awards[:9]]
    calls.append(asyncio.create_task(hide(corrector, "user-9")))  # type: ignore[arg-type]
    await asyncio.sleep(0)

    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await corrector.finish()

    assert (await ledger.read_head("main")).revision == 20


async def test_a_cancelled_call_withdraws_a_correction_that_waits_for_its_turn(
    corrections: Corrections, projector: Projector, scoring: Scoring, ledger: Ledger
) -> None:
    corrector = Corrector(corrections, projector, at_once=1)
    awards = [make_award(f"user-{n}", 1) for n in range(10)]
    await scoring.award_all(awards)
    calls = [asyncio.create_task(reverse(corrector, request_for(award))) for award in awards]
    await asyncio.sleep(0)

    for call in calls[:-1]:
        call.cancel()
    outcome = await calls[-1]
    await corrector.finish()

    assert outcome.user_id == "user-9"
    assert (await ledger.read_head("main")).revision == 12


async def test_without_redis_corrections_are_recorded_and_have_no_rank(
    ledger: Ledger,
    standings: Standings,
    corrections: Corrections,
    scheduler: Scheduler,
    free_port: Callable[[], int],
) -> None:
    async with Projection.open(ProjectionSettings(access_to_nobody(free_port()))) as projection:
        projector = make_projector(ledger, standings, projection)
        scoring, corrector = Scoring(ledger, projector, scheduler), Corrector(corrections, projector)
        kept, taken = make_award("ada", 5), make_award("ada", 9)
        await scoring.award_all([kept, taken])

        outcome = await corrector.reverse("main", request_for(taken), actor=ACTOR, trace_id="")
        hidden = await hide(corrector, "ada")

    assert (outcome.reversal.total, outcome.rank) == (5, None)
    assert hidden.revision == 4


async def test_what_failed_is_told_to_its_caller_alone(corrector: Corrector, scoring: Scoring) -> None:
    await scoring.award(make_award("ada", 5))
    with pytest.raises(AwardNotFoundError):
        await reverse(corrector, request_for(make_award("ada", 5)))
    with pytest.raises(StandingNotFoundError):
        await hide(corrector, "nobody")


async def test_more_than_may_wait_are_rejected_and_not_taken_in(
    corrections: Corrections, projector: Projector, scoring: Scoring, ledger: Ledger
) -> None:
    corrector = Corrector(corrections, projector, at_once=1, waiting_max=2)
    awards = [make_award("ada", 1) for _ in range(10)]
    await scoring.award_all(awards)

    outcomes = await asyncio.gather(
        *(reverse(corrector, request_for(award)) for award in awards), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes] == [Reversal] * 3 + [OverloadedError] * 7
    assert (await ledger.read_head("main")).revision == 13


async def test_each_correction_is_logged_once_and_without_its_reason(
    corrector: Corrector, scoring: Scoring
) -> None:
    award = make_award("ada", 5)
    await scoring.award(award)
    request = request_for(award)
    with capture_logs() as lines:
        await hide(corrector, "ada")
        await hide(corrector, "ada")
        await reverse(corrector, request)
        await reverse(corrector, request)

    assert [line["event"] for line in lines] == ["visibility_set", "award_reversed"]
    assert [line["on_behalf_of"] for line in lines] == ["eve", "eve"]
    assert (lines[0]["before"], lines[0]["visibility"]) == ("visible", "hidden")
    assert (lines[1]["award_id"], lines[1]["reversal_id"]) == (award.award_id, request.reversal_id)
    assert "a leaked answer" not in str(lines)


async def test_an_archived_award_is_not_taken_back(
    corrector: Corrector, scoring: Scoring, archiving: Archiving, made: Counter[str]
) -> None:
    award = make_award("ada", 5)
    await scoring.award(award)
    cut = await archiving.cut_and_delete()

    with pytest.raises(HistoryArchivedError) as caught:
        await reverse(corrector, request_for(award))

    assert caught.value.position == cut
    assert not made
