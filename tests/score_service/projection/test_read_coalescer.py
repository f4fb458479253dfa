"""How questions to boards become trips, over boards that the test holds in its hands."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from score_service import tracing
from score_service.errors import OverloadedError, ProjectionUnavailableError
from score_service.metrics import CALL_FIELDS
from score_service.projection.read_coalescer import ReadCoalescer
from service_runtime.batching.crowd import Crowd
from service_runtime.telemetry.tracing import current_span, inside

BOARDS = ("main", "other")
TRIP_MAX = 5


class Question(NamedTuple):
    """A question of a word."""

    word: str
    size: int = 1


class Answer(NamedTuple):
    """What was asked, and when."""

    question: Question
    revision: int
    """Of the board, when it was asked."""


class Boards:
    """Boards that move when the test says so, and answer when it lets them."""

    def __init__(self) -> None:
        self.revisions = dict.fromkeys(BOARDS, 0)
        self.trips: list[tuple[str, Sequence[Question]]] = []
        self.under_way: dict[str, asyncio.Future[None]] = {}
        self.error: Exception | None = None

    async def ask(self, board_id: str, questions: Sequence[Question]) -> Sequence[Answer]:
        assert board_id not in self.under_way, "Two trips at once."
        self.trips.append((board_id, tuple(questions)))
        revision = self.revisions[board_id]
        gate = self.under_way[board_id] = asyncio.get_running_loop().create_future()
        try:
            await gate
        finally:
            del self.under_way[board_id]
        if self.error:
            raise self.error
        return [Answer(question, revision) for question in questions]

    def let_return(self, board_id: str) -> None:
        if gate := self.under_way.get(board_id):
            gate.set_result(None)

    async def run_dry(self, reads: Sequence["asyncio.Task[Answer]"]) -> None:
        """Let all trips return until every read has ended, and nothing is under way."""
        await settle()
        while self.under_way or not all(read.done() for read in reads):
            for board_id in BOARDS:
                self.let_return(board_id)
            await settle()


async def settle() -> None:
    """Let everything happen that waits for nothing but its turn."""
    for _ in range(30):
        await asyncio.sleep(0)


@pytest.fixture
def boards() -> Boards:
    return Boards()


@pytest.fixture
def coalescer(boards: Boards) -> ReadCoalescer[Question, Answer]:
    return ReadCoalescer(boards.ask, trip_max=TRIP_MAX, waiting_max=8)


def begin(
    coalescer: ReadCoalescer[Question, Answer], *words: str, board_id: str = "main"
) -> list["asyncio.Task[Answer]"]:
    return [asyncio.create_task(coalescer.read(board_id, Question(word))) for word in words]


async def test_question_is_put_at_once_where_nothing_is_under_way(
    boards: Boards, coalescer: ReadCoalescer[Question, Answer]
) -> None:
    reads = begin(coalescer, "a")
    await settle()

    assert boards.trips == [("main", (Question("a"),))]
    await boards.run_dry(reads)
    assert reads[0].result() == Answer(Question("a"), 0)


async def test_questions_that_come_meanwhile_share_the_next_trip_each_once(
    boards: Boards, coalescer: ReadCoalescer[Question, Answer]
) -> None:
    reads = begin(coalescer, "a")
    await settle()
    boards.revisions["main"] = 7
    reads += begin(coalescer, "b", "a", "b")
    await settle()

    assert len(boards.trips) == 1
    await boards.run_dry(reads)
    assert boards.trips[1:] == [("main", (Question("b"), Question("a")))]
    assert [read.result().revision for read in reads] == [0, 7, 7, 7]
    assert reads[1].result() is reads[3].result()


async def test_after_a_trip_of_many_callers_those_on_their_way_are_waited_for(boards: Boards) -> None:
    nap = asyncio.Event()

    async def sleep(_seconds: float) -> None:
        await nap.wait()

    coalescer = ReadCoalescer[Question, Answer](boards.ask, new_crowd=lambda: Crowd(sleep))
    many = begin(coalescer, "a", "b", "c", "d")
    await settle()
    boards.let_return("main")
    await asyncio.gather(*many)

    again = begin(coalescer, "a")
    await settle()
    again += begin(coalescer, "b", "c", "d")
    await settle()
    nap.set()
    await boards.run_dry(again)

    assert [len(questions) for _, questions in boards.trips] == [4, 4]


async def test_boards_do_not_wait_for_each_other(
    boards: Boards, coalescer: ReadCoalescer[Question, Answer]
) -> None:
    stuck, reads = begin(coalescer, "a"), begin(coalescer, "a", board_id="other")
    await settle()
    boards.let_return("other")

    await asyncio.wait_for(reads[0], 5)
    assert not stuck[0].done()
    await boards.run_dry(stuck)


async def test_caller_that_gives_up_takes_nothing_from_the_others(
    boards: Boards, coalescer: ReadCoalescer[Question, Answer]
) -> None:
    first, *others = reads = begin(coalescer, "a", "a")
    await settle()
    first.cancel()

    await boards.run_dry(reads)
    assert first.cancelled()
    assert others[0].result() == Answer(Question("a"), 0)
    assert coalescer.waiting == 0


async def test_what_nobody_waits_for_any_more_is_not_asked(
    boards: Boards, coalescer: ReadCoalescer[Question, Answer]
) -> None:
    reads = begin(coalescer, "a")
    await settle()
    left, *others = begin(coalescer, "b", "c")
    await settle()
    left.cancel()

    await boards.run_dry([*reads, left, *others])
    assert boards.trips[1:] == [("main", (Question("c"),))]


async def test_failure_is_that_of_all_who_shared_the_trip_and_of_nobody_after_it(
    boards: Boards, coalescer: ReadCoalescer[Question, Answer]
) -> None:
    boards.error = ProjectionUnavailableError()
    reads = begin(coalescer, "a", "b")
    await boards.run_dry(reads)
    boards.error = None
    later = begin(coalescer, "a")
    await boards.run_dry(later)

    assert [type(read.exception()) for read in reads] == [ProjectionUnavailableError] * 2
    assert later[0].result() == Answer(Question("a"), 0)


async def test_more_callers_than_may_wait_are_rejected(
    boards: Boards, coalescer: ReadCoalescer[Question, Answer]
) -> None:
    reads = begin(coalescer, *"abcdefgh")
    await settle()

    with pytest.raises(OverloadedError):
        await coalescer.read("other", Question("a"))
    await boards.run_dry(reads)
    assert coalescer.waiting == 0


async def test_trip_belongs_to_the_trace_of_the_first_traced_caller_and_to_no_call(
    spans: InMemorySpanExporter,
) -> None:
    seen = []

    async def ask(_board_id: str, questions: Sequence[Question]) -> Sequence[Answer]:
        seen.append((current_span(), CALL_FIELDS.get()))
        return [Answer(question, 0) for question in questions]

    coalescer = ReadCoalescer[Question, Answer](ask)
    call = tracing.begin_call("score_api.v1.LeaderboardService/GetStanding", {})
    CALL_FIELDS.set({"request_id": "of one call"})
    with inside(call):
        await coalescer.read("main", Question("a"))
    call.end()

    assert [(span, dict(fields)) for span, fields in seen] == [(call, {})]
    assert len(spans.get_finished_spans()) == 1


BOARD = st.sampled_from(BOARDS)
STEP = st.one_of(
    st.tuples(st.just("read"), BOARD, st.builds(Question, st.sampled_from("abc"), st.integers(1, 7))),
    st.tuples(st.just("move"), BOARD, st.none()),
    st.tuples(st.just("return"), BOARD, st.none()),
    st.tuples(st.just("give up"), BOARD, st.integers(0, 30)),
    st.tuples(st.just("settle"), BOARD, st.none()),
)


@given(st.lists(STEP, max_size=60))
def test_every_answer_is_as_new_as_its_question_whatever_happens_meanwhile(
    steps: list[tuple[str, str, Question | int | None]],
) -> None:
    asyncio.run(play(steps))


async def play(steps: list[tuple[str, str, Question | int | None]]) -> None:
    boards = Boards()
    coalescer = ReadCoalescer[Question, Answer](boards.ask, trip_max=TRIP_MAX)
    reads = list[tuple[str, Question, int, asyncio.Task[Answer]]]()
    for kind, board_id, detail in steps:
        if isinstance(detail, Question):
            revision, read = boards.revisions[board_id], coalescer.read(board_id, detail)
            reads.append((board_id, detail, revision, asyncio.create_task(read)))
            await asyncio.sleep(0)
        elif isinstance(detail, int) and reads:
            reads[detail % len(reads)][-1].cancel()
        elif kind == "move":
            boards.revisions[board_id] += 1
        elif kind == "return":
            boards.let_return(board_id)
            await asyncio.sleep(0)
        elif kind == "settle":
            await settle()
    await boards.run_dry([task for *_, task in reads])
    await settle()

    for board_id, question, revision, task in reads:
        if not task.cancelled():
            assert task.result().question == question
            assert revision <= task.result().revision <= boards.revisions[board_id]
    for _, questions in boards.trips:
        assert len(set(questions)) == len(questions)
        assert len(questions) == 1 or sum(question.size for question in questions) <= TRIP_MAX
    assert coalescer.waiting == 0
    assert not asyncio.all_tasks() - {asyncio.current_task()}
