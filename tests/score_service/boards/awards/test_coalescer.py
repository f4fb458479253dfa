"""How awards become batches, over stages that the test holds in its hands."""

import asyncio
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Span
from structlog.testing import capture_logs
from tests.fixtures.servers.stores import make_award

from score_service import tracing
from score_service.boards.awards.coalescer import AwardReply, Coalescer
from score_service.domain.ledger.award import Award, AwardOutcome, RecordedAward
from score_service.domain.ledger.changes import Changes
from score_service.domain.ledger.position import Position
from score_service.errors import OverloadedError, RecordUnavailableError
from score_service.metrics import CALL_FIELDS, add_call_fields
from score_service.record.ledger import RecordedBatch
from service_runtime.telemetry.tracing import current_span, ids_of, inside


class Stages:
    """Two stages that write down what passes, and wait where the test says."""

    def __init__(self) -> None:
        self.committed: list[list[str]] = []
        self.answered: list[list[str]] = []
        self.poison: set[str] = set()
        self.unavailable = False
        self.may_commit = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.most_at_once = {"commit": 0, "answer": 0}
        self._at_once = {"commit": 0, "answer": 0}
        self.release()

    def release(self) -> None:
        self.may_commit.set()
        self.may_answer.set()

    async def commit(self, board_id: str, awards: Sequence[Award]) -> RecordedBatch:
        await self._pass("commit", self.may_commit)
        if self.unavailable:
            raise RecordUnavailableError
        if self.poison & {award.award_id for award in awards}:
            raise ZeroDivisionError
        self.committed.append([award.award_id for award in awards])
        position = Position.start(board_id)
        results = tuple(record(award) for award in awards)
        return RecordedBatch(Changes(board_id, position, position, ()), results)

    async def answer(
        self, awards: Sequence[Award], batch: RecordedBatch
    ) -> Sequence[AwardOutcome | Exception]:
        await self._pass("answer", self.may_answer)
        self.answered.append([award.award_id for award in awards])
        return [AwardOutcome(r, None, replayed=False) for r in batch.results if isinstance(r, RecordedAward)]

    async def _pass(self, stage: str, gate: asyncio.Event) -> None:
        self._at_once[stage] += 1
        self.most_at_once[stage] = max(self.most_at_once[stage], self._at_once[stage])
        await asyncio.sleep(0)
        await gate.wait()
        self._at_once[stage] -= 1


def record(award: Award) -> RecordedAward:
    return RecordedAward(
        award_id=award.award_id,
        revision=1,
        position=Position.start(award.board_id),
        user_id=award.user_id,
        points=award.points,
        total=award.points,
        action_type=award.action_type,
        action_id=award.action_id,
        request_id=award.request_id,
    )


@pytest.fixture
def stages() -> Stages:
    return Stages()


def coalescer_of(stages: Stages, **bounds: int) -> Coalescer:
    return Coalescer(stages.commit, stages.answer, **bounds)


async def settled(futures: Sequence[asyncio.Future[list[AwardReply]]]) -> list[AwardReply]:
    async with asyncio.timeout(60):
        return [outcome for outcomes in await asyncio.gather(*futures) for outcome in outcomes]


async def let_run() -> None:
    """Let everything run that can."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_lone_award_is_committed_at_once(stages: Stages) -> None:
    coalescer, award = coalescer_of(stages), make_award()

    (outcome,) = await settled([coalescer.submit([award])])

    assert isinstance(outcome, AwardOutcome)
    assert stages.committed == stages.answered == [[award.award_id]]
    assert coalescer.waiting == 0


async def test_awards_gather_while_one_is_committed(stages: Stages) -> None:
    coalescer, awards = coalescer_of(stages, batch_max=4), [make_award() for _ in range(10)]
    stages.may_commit.clear()
    futures = [coalescer.submit([awards[0]])]
    await let_run()
    futures += [coalescer.submit([award]) for award in awards[1:]]
    stages.release()

    outcomes = await settled(futures)

    assert [len(batch) for batch in stages.committed] == [1, 4, 4, 1]
    assert [award_id for batch in stages.committed for award_id in batch] == [a.award_id for a in awards]
    told = [outcome.recorded.award_id for outcome in outcomes if isinstance(outcome, AwardOutcome)]
    assert told == [award.award_id for award in awards]


async def test_awards_that_come_within_a_few_turns_of_each_other_share_a_commit(stages: Stages) -> None:
    coalescer, futures = coalescer_of(stages), []
    for _ in range(10):
        futures.append(coalescer.submit([make_award()]))
        for _ in range(3):
            await asyncio.sleep(0)

    await settled(futures)

    assert [len(batch) for batch in stages.committed] == [10]


async def test_next_batch_is_committed_while_one_is_answered_but_not_the_one_after(stages: Stages) -> None:
    coalescer, awards = coalescer_of(stages, batch_max=1), [make_award() for _ in range(4)]
    stages.may_answer.clear()
    futures = [coalescer.submit([award]) for award in awards]
    await let_run()

    assert len(stages.committed) == 2
    assert stages.answered == []
    stages.release()
    await settled(futures)
    assert stages.committed == stages.answered
    assert stages.most_at_once == {"commit": 1, "answer": 1}


async def test_boards_do_not_wait_for_each_other(stages: Stages) -> None:
    coalescer = coalescer_of(stages)
    futures = [coalescer.submit([make_award(board_id=board)]) for board in ("one", "two")]

    await settled(futures)

    assert stages.most_at_once == {"commit": 2, "answer": 2}


async def test_poisonous_award_fails_alone(stages: Stages) -> None:
    coalescer, awards = coalescer_of(stages), [make_award() for _ in range(9)]
    stages.poison = {awards[5].award_id}

    with capture_logs() as logs:
        outcomes = await settled([coalescer.submit([award]) for award in awards])

    assert [isinstance(outcome, AwardOutcome) for outcome in outcomes] == [i != 5 for i in range(9)]
    assert isinstance(outcomes[5], ZeroDivisionError)
    assert [entry["event"] for entry in logs] == ["award_failed"]
    told = [award_id for batch in stages.answered for award_id in batch]
    assert told == [award.award_id for award in awards if award is not awards[5]]


async def test_log_names_the_award_that_failed_and_not_the_call_that_began_the_batch(stages: Stages) -> None:
    coalescer, good, bad = coalescer_of(stages), make_award(), make_award()
    stages.poison = {bad.award_id}

    with capture_logs(processors=[add_call_fields]) as logs:
        token = CALL_FIELDS.set({"request_id": "r-1"})
        futures = [coalescer.submit([good])]
        CALL_FIELDS.reset(token)
        await settled([*futures, coalescer.submit([bad])])

    (entry,) = logs
    assert (entry["board_id"], entry["award_id"], entry["caller"]) == ("main", bad.award_id, bad.caller)
    assert "request_id" not in entry


async def test_a_batch_has_one_span_around_both_stages_whose_ids_its_lines_have(
    stages: Stages, spans: InMemorySpanExporter
) -> None:
    coalescer, current = coalescer_of(stages), list[Span]()
    good, bad = make_award(), make_award()._replace(trace_id="1f" * 16)
    stages.poison = {bad.award_id}

    async def answer(awards: Sequence[Award], batch: RecordedBatch) -> Sequence[AwardReply]:
        current.append(current_span())
        raise ZeroDivisionError

    with (
        capture_logs(processors=[add_call_fields]) as logs,
        pytest.MonkeyPatch.context() as patch,
        inside(tracing.begin_call("s/m", {})),
    ):
        patch.setattr(coalescer, "_answer", answer)
        await settled([coalescer.submit([good, bad])])

    (batch,) = spans.get_finished_spans()
    ids = ids_of(current[0])
    assert (batch.name, batch.get_span_context()) == ("batch", current[0].get_span_context())
    assert batch.attributes == {"laurel.batch.awards": 2}
    lines = {line["event"]: line for line in logs}
    assert lines["batch_failed"].items() >= ids.items()
    assert lines["award_failed"]["trace_id"] == bad.trace_id
    assert "span_id" not in lines["award_failed"]


async def test_record_that_is_unavailable_leaves_every_outcome_open(stages: Stages) -> None:
    coalescer = coalescer_of(stages)
    stages.unavailable = True

    outcomes = await settled([coalescer.submit([make_award()]) for _ in range(3)])

    assert [type(outcome) for outcome in outcomes] == [RecordUnavailableError] * 3
    stages.unavailable = False
    assert isinstance((await settled([coalescer.submit([make_award()])]))[0], AwardOutcome)


async def test_award_past_the_bound_is_not_taken_in(stages: Stages) -> None:
    coalescer = coalescer_of(stages, waiting_max=2)
    stages.may_commit.clear()
    futures = [coalescer.submit([make_award()]) for _ in range(2)]

    rejected = coalescer.submit([make_award()])

    assert [type(outcome) for outcome in rejected.result()] == [OverloadedError]
    stages.release()
    assert not any(isinstance(outcome, Exception) for outcome in await settled(futures))
    coalescer.submit([make_award()])
    await coalescer.finish()


async def test_awards_asked_for_together_are_answered_together_and_in_order(stages: Stages) -> None:
    coalescer = coalescer_of(stages, batch_max=3)
    awards = [make_award(board_id=f"board_{n % 2}") for n in range(10)]

    outcomes = await settled([coalescer.submit(awards)])

    told = [outcome.recorded.award_id for outcome in outcomes if isinstance(outcome, AwardOutcome)]
    assert told == [award.award_id for award in awards]
    assert [len(batch) for batch in stages.committed] == [3, 3, 2, 2]


async def test_of_awards_asked_for_together_as_many_are_taken_in_as_have_room(stages: Stages) -> None:
    coalescer = coalescer_of(stages, waiting_max=3)

    outcomes = await settled([coalescer.submit([make_award() for _ in range(5)])])

    assert [type(outcome) for outcome in outcomes] == [AwardOutcome] * 3 + [OverloadedError] * 2
    assert coalescer.waiting == 0


async def test_stage_that_fails_fails_its_awards_and_stops_nothing(stages: Stages) -> None:
    async def fail(*_arguments: object) -> Sequence[AwardOutcome | Exception]:
        raise ZeroDivisionError

    coalescer = Coalescer(stages.commit, fail)
    with capture_logs() as logs:
        outcomes = await settled([coalescer.submit([make_award()]) for _ in range(2)])

    assert [type(outcome) for outcome in outcomes] == [ZeroDivisionError] * 2
    assert [entry["event"] for entry in logs] == ["batch_failed"]
    assert coalescer.waiting == 0


async def test_finish_waits_for_what_was_taken_in(stages: Stages) -> None:
    coalescer = coalescer_of(stages, batch_max=2)
    futures = [coalescer.submit([make_award()]) for _ in range(5)]

    await coalescer.finish()

    assert all(future.done() for future in futures)


async def test_crowd_that_calls_again_and_again_shares_its_batches() -> None:
    stages = Stages()
    coalescer = Coalescer(stages.commit, stages.answer)

    async def call_ten_times() -> None:
        for number in range(10):
            await asyncio.sleep(0.0001 * number)
            await coalescer.submit([make_award()])

    await asyncio.gather(*(call_ten_times() for _ in range(64)))

    assert sum(map(len, stages.committed)) == 640
    assert len(stages.committed) <= 40


async def test_lone_award_after_a_crowd_is_committed_all_the_same() -> None:
    stages = Stages()
    coalescer = Coalescer(stages.commit, stages.answer)
    await asyncio.gather(*(coalescer.submit([make_award()]) for _ in range(32)))

    await asyncio.wait_for(coalescer.submit([make_award()]), 5)

    assert [len(batch) for batch in stages.committed] == [32, 1]
