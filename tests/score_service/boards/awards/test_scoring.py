"""The write path on real stores."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any, NoReturn

import psycopg
import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs
from tests.fixtures.ledgers.archiving import Archiving
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.redis import access_to_nobody
from tests.fixtures.servers.stores import is_projected, make_award, make_projector

from score_service.boards.awards.scheduler import Scheduler
from score_service.boards.awards.scoring import Scoring
from score_service.domain.ledger.award import MAX_TOTAL, Award, AwardOutcome
from score_service.errors import (
    AwardArchivedError,
    AwardConflictError,
    AwardNotFoundError,
    HistoryArchivedError,
    TotalOutOfRangeError,
)
from score_service.projection.projection import Projection, ProjectionSettings
from score_service.reconcile.projector import Projector
from score_service.reconcile.rebuild.rebuilder import Rebuilder
from score_service.record.ledger import Ledger
from score_service.record.standings import Standings


@pytest.fixture
def scoring(ledger: Ledger, projection: Projection, projector: Projector, scheduler: Scheduler) -> Scoring:
    return Scoring(ledger, projector, scheduler)


async def test_award_is_in_the_record_and_in_the_ranks_when_it_is_answered(
    scoring: Scoring, ledger: Ledger, projection: Projection
) -> None:
    await scoring.award(make_award("ada", 5))

    outcome = await scoring.award(make_award("bob", 9))

    assert (outcome.recorded.total, outcome.rank, outcome.replayed) == (9, 1, False)
    assert await is_projected(ledger, projection)


async def test_two_hundred_copies_make_one_row_and_tell_retries_from_second_uses(
    scoring: Scoring, ledger: Ledger
) -> None:
    award = make_award("ada", 5)
    copies = [award] * 100 + [award._replace(request_id=str(uuid.uuid4())) for _ in range(100)]

    outcomes = await asyncio.gather(*(scoring.award(copy) for copy in copies))

    assert (await ledger.read_head("main")).revision == 1
    assert {outcome.recorded for outcome in outcomes} == {outcomes[0].recorded}
    first = outcomes[0].recorded.request_id
    assert [outcome.replayed for outcome in outcomes] == [copy.request_id != first for copy in copies]


async def test_replay_has_the_first_total_and_the_current_rank(scoring: Scoring) -> None:
    award = make_award("ada", 5)
    await scoring.award(award)
    await scoring.award(make_award("ada", 7))
    await scoring.award(make_award("bob", 100))

    again = await scoring.award(award._replace(request_id=str(uuid.uuid4())))

    assert (again.recorded.total, again.recorded.revision) == (5, 1)
    assert (again.rank, again.replayed) == (2, True)
    assert await scoring.get_award("main", award.award_id) == again


async def test_same_id_with_another_payload_is_a_conflict(scoring: Scoring, ledger: Ledger) -> None:
    award = make_award("ada", 5)
    await scoring.award(award)

    with pytest.raises(AwardConflictError):
        await scoring.award(award._replace(points=6))
    assert (await ledger.read_head("main")).revision == 1


async def test_total_out_of_range_writes_nothing(
    scoring: Scoring, ledger: Ledger, database: Database
) -> None:
    await scoring.award(make_award("ada", 5))
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute("UPDATE score.standing SET total = %s", (MAX_TOTAL,))

    with pytest.raises(TotalOutOfRangeError):
        await scoring.award(make_award("ada", 1))
    assert (await ledger.read_head("main")).revision == 1


async def test_unknown_award_is_not_found(scoring: Scoring) -> None:
    with pytest.raises(AwardNotFoundError):
        await scoring.get_award("main", str(uuid.uuid4()))


async def test_award_without_redis_is_recorded_and_has_no_rank(
    ledger: Ledger, standings: Standings, scheduler: Scheduler, free_port: Callable[[], int]
) -> None:
    settings = ProjectionSettings(access_to_nobody(free_port()))
    async with Projection.open(settings) as projection:
        scoring = Scoring(ledger, make_projector(ledger, standings, projection), scheduler)
        award = make_award("ada", 5)

        first = await scoring.award(award)
        again = await scoring.award(award)

    assert first.rank is None
    assert again == first._replace(is_new=False)
    assert (await ledger.read_head("main")).revision == 1


async def test_cancelled_call_does_not_cancel_the_award(scoring: Scoring, ledger: Ledger) -> None:
    awards = [make_award("ada", 1) for _ in range(30)]
    calls = [asyncio.create_task(scoring.award(award)) for award in awards]
    await asyncio.sleep(0)

    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await scoring.finish()

    assert (await ledger.read_head("main")).revision == 30


async def test_each_award_is_reported_once_as_new_also_when_its_caller_has_gone(
    ledger: Ledger, projection: Projection, projector: Projector, scheduler: Scheduler
) -> None:
    outcomes: list[AwardOutcome] = []
    scoring = Scoring(ledger, projector, scheduler, on_outcomes=outcomes.extend)
    award = make_award("ada", 5)
    call = asyncio.create_task(scoring.award(award))
    await asyncio.sleep(0)
    call.cancel()
    await scoring.finish()

    await scoring.award(award)
    await scoring.award(award._replace(request_id=str(uuid.uuid4())))

    assert [(o.is_new, o.replayed) for o in outcomes] == [(True, False), (False, False), (False, True)]


async def test_award_requested_twice_at_once_is_reported_once_as_new(
    ledger: Ledger, projector: Projector, scheduler: Scheduler
) -> None:
    outcomes: list[AwardOutcome] = []
    made: list[Award] = []
    scoring = Scoring(ledger, projector, scheduler, on_outcomes=outcomes.extend, on_made=made.extend)
    award, too_much = make_award("ada", 5), make_award("ada", MAX_TOTAL)

    await scoring.award_all([award, award, award._replace(request_id=str(uuid.uuid4())), too_much])
    await scoring.award(award)

    assert [(o.is_new, o.replayed) for o in outcomes] == [
        (True, False), (False, False), (False, True), (False, False),
    ]  # fmt: skip
    assert made == [award]


async def test_projection_far_behind_does_not_hold_up_awards(
    ledger: Ledger,
    projection: Projection,
    projector: Projector,
    scheduler: Scheduler,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go_on, rebuild = asyncio.Event(), Rebuilder.rebuild

    async def slow_rebuild(*arguments: Any) -> Any:
        await go_on.wait()
        return await rebuild(*arguments)

    monkeypatch.setattr(Rebuilder, "rebuild", slow_rebuild)
    scoring = Scoring(ledger, projector, scheduler, rank_seconds=0.1)
    await ledger.record_awards("main", [make_award("bob")])
    award = make_award("ada", 5)

    first = await scoring.award(award)
    again = await scoring.award(award)
    found = await scoring.get_award("main", award.award_id)
    go_on.set()
    await projector.catch_up("main")

    assert (first.recorded.revision, first.rank) == (2, None)
    assert (again.recorded, again.rank) == (found.recorded, found.rank) == (first.recorded, None)
    assert (await scoring.award(award)).rank == 2


async def test_failure_that_nobody_waits_for_is_logged(
    ledger: Ledger,
    projection: Projection,
    projector: Projector,
    scheduler: Scheduler,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(*_arguments: object) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr(ledger, "record_awards", fail)
    scoring = Scoring(ledger, projector, scheduler)
    with capture_logs() as logs:
        call = asyncio.create_task(scoring.award(make_award()))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await scoring.finish()

    assert [entry["event"] for entry in logs] == ["award_failed"]


async def test_projection_that_makes_no_sense_does_not_fail_the_award(
    scoring: Scoring, redis_url: str, redis_prefix: str
) -> None:
    await scoring.award(make_award("ada"))
    async with Redis.from_url(redis_url) as client:
        await client.hdel(f"{redis_prefix}{{main}}:header", "revision")

    with capture_logs() as logs:
        outcome = await scoring.award(make_award("bob"))

    assert (outcome.recorded.revision, outcome.rank) == (2, None)
    assert [entry["board_id"] for entry in logs if entry["event"] == "ranks_unavailable"] == ["main"]


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_archived_award_is_told_from_a_new_one_wherever_it_is_asked_for(
    scoring: Scoring, archiving: Archiving, *, is_deleted: bool
) -> None:
    award = make_award("ada", 5)
    await scoring.award(award)
    cut = await archiving.cut()
    if is_deleted:
        await archiving.delete()

    replies = await scoring.award_all([award, make_award("ada", 7)])
    with pytest.raises(AwardArchivedError) as found:
        await scoring.find_outcome(award)
    with pytest.raises(HistoryArchivedError) as got:
        await scoring.get_award("main", award.award_id)

    archived, made = replies
    assert isinstance(archived, AwardArchivedError)
    assert archived.revision == found.value.revision == 1
    assert isinstance(made, AwardOutcome)
    assert (made.recorded.total, made.rank) == (12, 1)
    assert got.value.position == cut
    with pytest.raises(AwardNotFoundError):
        await scoring.find_outcome(make_award("ada", 5))
