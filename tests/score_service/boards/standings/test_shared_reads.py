"""Answers of the record that many callers share."""

import asyncio
from dataclasses import replace

import pytest

from score_service.boards.standings.shared_reads import RecordReader, RecordReaderSettings
from score_service.domain.ledger.position import Position
from score_service.domain.standings.standing import Reading, Source, Standing
from score_service.errors import (
    BoardNotFoundError,
    OverloadedError,
    ProjectionUnavailableError,
    RecordUnavailableError,
)
from score_service.metrics import CALL_FIELDS

SETTINGS = RecordReaderSettings(keep_seconds=60)


class Record:
    """A record that answers when it is let, and keeps what it was asked."""

    def __init__(self) -> None:
        self.revision = 1
        self.asked: list[tuple[str, int]] = []
        self.failure: Exception | None = None
        self.busy: dict[str, int] = {}
        self.most_at_once: dict[str, int] = {}
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def read(self, board_id: str, size: int) -> Reading:
        self.asked.append((board_id, size))
        self.busy[board_id] = self.busy.get(board_id, 0) + 1
        self.most_at_once[board_id] = max(self.most_at_once.get(board_id, 0), self.busy[board_id])
        position = Position(self.revision, "0" * 16)
        await self.may_answer.wait()
        await asyncio.sleep(0)
        self.busy[board_id] -= 1
        if self.failure:
            raise self.failure
        return Reading(position, Source.RECORD, tuple(Standing(f"u{i}", 1, i + 1, 1) for i in range(size)))


@pytest.fixture
async def record() -> Record:
    return Record()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_answer_belongs_to_no_one_call() -> None:
    fields: list[object] = []

    async def read(_board_id: str) -> Reading:
        fields.append({**CALL_FIELDS.get()})
        return Reading(Position(1, "0" * 16), Source.RECORD)

    token = CALL_FIELDS.set({"request_id": "r-1"})
    await RecordReader(SETTINGS).read(read, "main")
    CALL_FIELDS.reset(token)

    assert fields == [{}]


async def test_equal_questions_at_once_share_an_answer(record: Record) -> None:
    reader = RecordReader(SETTINGS)
    record.may_answer.clear()
    asking = [asyncio.create_task(reader.read(record.read, "main", 3)) for _ in range(5)]
    await settle()
    record.may_answer.set()

    readings = await asyncio.gather(*asking)

    assert record.asked == [("main", 3)]
    assert all(reading is readings[0] for reading in readings)


async def test_board_is_asked_one_question_at_a_time_and_boards_do_not_wait_for_each_other(
    record: Record,
) -> None:
    reader = RecordReader(SETTINGS)
    record.may_answer.clear()
    asking = [
        asyncio.create_task(reader.read(record.read, board, size))
        for board in ("one", "two")
        for size in range(3)
    ]
    await settle()
    assert record.asked == [("one", 0), ("two", 0)]
    record.may_answer.set()
    await asyncio.gather(*asking)

    assert record.most_at_once == {"one": 1, "two": 1}
    assert len(record.asked) == 6


async def test_few_boards_are_asked_at_once(record: Record) -> None:
    reader = RecordReader(replace(SETTINGS, at_once=2))
    record.may_answer.clear()
    asking = [asyncio.create_task(reader.read(record.read, f"board{i}", 1)) for i in range(5)]
    await settle()
    assert record.asked == [("board0", 1), ("board1", 1)]
    record.may_answer.set()
    await asyncio.gather(*asking)

    assert len(record.asked) == 5


async def test_answer_serves_for_a_while(record: Record) -> None:
    reader = RecordReader(SETTINGS)
    await reader.read(record.read, "main", 3)
    await reader.read(record.read, "main", 3)
    assert len(record.asked) == 1

    impatient = RecordReader(replace(SETTINGS, keep_seconds=0))
    await impatient.read(record.read, "main", 3)
    await impatient.read(record.read, "main", 3)
    assert len(record.asked) == 3


async def test_kept_answer_does_not_serve_who_asks_for_a_later_revision(record: Record) -> None:
    reader = RecordReader(SETTINGS)
    await reader.read(record.read, "main", 3)
    record.revision = 2

    reading = await reader.read(record.read, "main", 3, min_revision=2)

    assert reading.position.revision == 2
    assert await reader.read(record.read, "main", 3) is reading


async def test_answer_asked_for_before_the_revision_was_there_does_not_serve_who_joins_it(
    record: Record,
) -> None:
    reader = RecordReader(SETTINGS)
    record.may_answer.clear()
    early = asyncio.create_task(reader.read(record.read, "main", 3))
    await settle()
    record.revision = 2
    late = asyncio.create_task(reader.read(record.read, "main", 3, min_revision=2))
    await settle()
    record.may_answer.set()

    assert (await early).position.revision == 1
    assert (await late).position.revision == 2


async def test_revision_that_the_record_has_not_is_asked_for_once(record: Record) -> None:
    reader = RecordReader(SETTINGS)

    with pytest.raises(ProjectionUnavailableError):
        await reader.read(record.read, "main", 3, min_revision=2)

    assert len(record.asked) == 1


async def test_failure_is_shared_by_those_who_wait_and_not_kept(record: Record) -> None:
    reader = RecordReader(SETTINGS)
    record.failure = BoardNotFoundError()
    asking = [reader.read(record.read, "main", 3) for _ in range(3)]

    results = await asyncio.gather(*asking, return_exceptions=True)
    record.failure = None

    assert [type(result) for result in results] == [BoardNotFoundError] * 3
    assert len(record.asked) == 1
    assert (await reader.read(record.read, "main", 3)).top


async def test_caller_that_leaves_does_not_take_the_answer_along(record: Record) -> None:
    reader = RecordReader(SETTINGS)
    record.may_answer.clear()
    leaving, staying = (asyncio.create_task(reader.read(record.read, "main", 3)) for _ in range(2))
    await settle()
    leaving.cancel()
    await settle()
    record.may_answer.set()

    assert (await staying).top
    assert len(record.asked) == 1


async def test_question_that_nobody_waits_for_any_more_is_not_asked(record: Record) -> None:
    reader = RecordReader(SETTINGS)
    record.may_answer.clear()
    first = asyncio.create_task(reader.read(record.read, "main", 1))
    second = asyncio.create_task(reader.read(record.read, "main", 2))
    await settle()
    second.cancel()
    await settle()
    record.may_answer.set()
    await first
    await settle()

    assert record.asked == [("main", 1)]
    assert reader._questions == {}


async def test_callers_beyond_the_bound_are_rejected(record: Record) -> None:
    reader = RecordReader(replace(SETTINGS, waiting_max=2))
    record.may_answer.clear()
    waiting = [asyncio.create_task(reader.read(record.read, "main", 1)) for _ in range(2)]
    await settle()

    with pytest.raises(OverloadedError):
        await reader.read(record.read, "main", 1)

    record.may_answer.set()
    await asyncio.gather(*waiting)
    assert (await reader.read(record.read, "main", 2)).top


async def test_nobody_waits_for_ever(record: Record) -> None:
    reader = RecordReader(replace(SETTINGS, timeout_seconds=0.01))
    record.may_answer.clear()

    with pytest.raises(RecordUnavailableError):
        await reader.read(record.read, "main", 1)
    record.may_answer.set()


async def test_kept_answers_are_bounded_by_their_standings(record: Record) -> None:
    reader = RecordReader(replace(SETTINGS, kept_max=250))
    for size in (100, 101, 102):
        await reader.read(record.read, "main", size)

    assert [len(reading.top) for _, reading in reader._kept.values()] == [101, 102]
    assert reader._kept_size == 205


async def test_answers_that_are_too_old_are_not_kept(record: Record) -> None:
    reader = RecordReader(replace(SETTINGS, keep_seconds=0))
    await reader.read(record.read, "main", 1)

    assert reader._kept == {}
    assert reader._kept_size == 0


async def test_what_is_no_reading_is_shared_and_kept_too() -> None:
    asked: list[str] = []

    async def find(board_id: str) -> str | None:
        asked.append(board_id)
        return None

    reader = RecordReader(SETTINGS)
    answers = [await reader.look_up(find, "main") for _ in range(2)]
    anew = await reader.look_up(find, "main", suffices=lambda _answer: False)

    assert (answers, anew) == ([None, None], None)
    assert asked == ["main", "main"]


async def test_answer_that_does_not_suffice_is_not_shared_with_who_came_later(record: Record) -> None:
    reader = RecordReader(SETTINGS)
    record.may_answer.clear()
    first = asyncio.create_task(reader.look_up(record.read, "main", 1))
    await settle()
    later = asyncio.create_task(reader.look_up(record.read, "main", 1, suffices=lambda _answer: False))
    await settle()
    record.may_answer.set()
    await asyncio.gather(first, later)

    assert record.asked == [("main", 1), ("main", 1)]
