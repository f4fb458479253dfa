"""How suspicions are gathered, and written."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from action_gateway.errors import UnavailableError
from action_gateway.moderation.suspicion_log import SuspicionLog
from action_gateway.store.suspicions import Noted

START = datetime(2026, 11, 30, tzinfo=UTC)


class Sink:
    """What was written, as far as that can be done."""

    def __init__(self) -> None:
        self.written: list[list[Noted]] = []
        self.available = True
        self.called = asyncio.Event()

    async def add(self, noted: list[Noted]) -> None:
        self.called.set()
        if not self.available:
            raise UnavailableError
        self.written.append(noted)


class Clock:
    """A clock that is a second later each time."""

    def __init__(self) -> None:
        self.seconds = -1

    def __call__(self) -> float:
        self.seconds += 1
        return START.timestamp() + self.seconds


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


async def test_all_of_a_user_and_signal_is_one_row() -> None:
    sink = Sink()
    log = SuspicionLog(sink, Clock())
    for user_id, signal in (("ada", "x"), ("ada", "y"), ("ada", "x"), ("bob", "x")):
        log.note(user_id, signal)
    await log.write()
    await log.write()

    assert sink.written == [
        [
            Noted("ada", "x", at(0), at(2), 2),
            Noted("ada", "y", at(1), at(1), 1),
            Noted("bob", "x", at(3), at(3), 1),
        ]
    ]


async def test_what_cannot_be_written_is_written_later() -> None:
    sink = Sink()
    log = SuspicionLog(sink, Clock())
    log.note("ada", "x")
    sink.available = False
    with pytest.raises(UnavailableError):
        await log.write()
    log.note("ada", "x")
    sink.available = True
    await log.write()

    assert sink.written == [[Noted("ada", "x", at(0), at(1), 2)]]


async def test_what_is_gathered_is_bounded() -> None:
    sink = Sink()
    log = SuspicionLog(sink, Clock(), limit=2)
    for user_id in ("ada", "bob", "eve", "ada"):
        log.note(user_id, "x")
    await log.write()

    assert [(one.user_id, one.count) for one in sink.written[0]] == [("ada", 2), ("bob", 1)]


async def test_it_is_written_now_and_then_and_at_the_end() -> None:
    sink = Sink()
    log = SuspicionLog(sink, Clock())
    log.note("ada", "x")
    async with log.running():
        await asyncio.wait_for(sink.called.wait(), 10)
        log.note("bob", "x")

    assert [[one.user_id for one in written] for written in sink.written] == [["ada"], ["bob"]]
