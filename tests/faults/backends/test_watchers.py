"""How watchers follow a board, leave it and resume, with a scripted service."""

import asyncio
import random
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from faults.backends.watchers import Watcher
from faults.load.observer import Observer
from faults.model.history import Closed, History, Message
from score_client import BoardNotFoundError, Checkpoint, Snapshot, Source, Standing, Update, WatchEvent

_SECONDS = 60.0
_ADA = Standing(user_id="ada", total=5, rank=1, reached_revision=1)


class _Eager(random.Random):
    """Draws nothing but zeros, so that nothing waits."""

    def random(self) -> float:
        return 0.0


@dataclass(slots=True)
class ScriptedClient:
    """Gives each watch the events of a script, and after the last script nothing any more."""

    scripts: list[Iterable[WatchEvent | Exception]]
    positions: list[str | None] = field(default_factory=list)
    """With which each watch came."""
    silent: asyncio.Event = field(default_factory=asyncio.Event)

    async def watch(self, *, after_position: str | None, **_: Any) -> AsyncGenerator[WatchEvent, None]:
        self.positions.append(after_position)
        for event in self.scripts.pop(0) if self.scripts else ():
            if isinstance(event, Exception):
                raise event
            yield event
        if not self.scripts:
            self.silent.set()
            await asyncio.Event().wait()


def _snapshot(revision: int, *, reset: bool = False) -> Snapshot:
    return Snapshot(
        top=(_ADA,), reset=reset, revision=revision, position=f"{revision}-x", source=Source.CACHE
    )


def _update(revision: int) -> Update:
    return Update(top=None, scores=(_ADA,), revision=revision, position=f"{revision}-x", source=Source.CACHE)


class _Nostalgic(_Eager):
    """Draws what is hardly ever drawn."""

    def random(self) -> float:
        return 0.999


async def _play(
    *scripts: Iterable[WatchEvent | Exception], randomness: random.Random | None = None
) -> tuple[ScriptedClient, History]:
    client, history = ScriptedClient([*scripts]), History()
    observer = Observer(name="watch-1", board_id="main", history=history)
    watcher = Watcher(observer, client, randomness or _Eager())  # type: ignore[arg-type]
    task = asyncio.create_task(watcher.run())
    try:
        async with asyncio.timeout(_SECONDS):
            silent = asyncio.create_task(client.silent.wait())
            await asyncio.wait([silent, task], return_when=asyncio.FIRST_COMPLETED)
    finally:
        silent.cancel()
        task.cancel()
        await asyncio.wait([silent, task])
    if not task.cancelled():
        task.result()
    return client, history


def _messages(history: History) -> list[tuple[int, str, int]]:
    messages = [event for event in history.events if isinstance(event, Message)]
    return [(message.connection, message.event, message.revision) for message in messages]


async def test_watcher_resumes_with_its_last_position() -> None:
    client, history = await _play([_snapshot(3), _update(4)], [])
    assert client.positions == [None, "4-x"]
    assert _messages(history) == [(0, "snapshot", 3), (0, "update", 4)]
    assert [event.reason for event in history.events if isinstance(event, Closed)] == ["ended"]


async def test_watcher_may_resume_from_long_ago_and_says_so() -> None:
    first, second = (_snapshot(3), _update(4)), (_snapshot(5), _update(6))
    client, history = await _play(first, second, (_snapshot(7),), (), randomness=_Nostalgic())
    assert client.positions == [None, "3-x", "4-x", "6-x"]
    messages = [event for event in history.events if isinstance(event, Message)]
    assert [message.after for message in messages] == [None, None, "3-x", None, "4-x"]


async def test_snapshot_of_a_watch_that_was_resumed_is_no_position_to_resume_from() -> None:
    client, _ = await _play([_snapshot(3)], [_snapshot(7)], [_snapshot(8), _update(8)], [])
    assert client.positions == [None, "3-x", "3-x", "8-x"]


async def test_checkpoint_is_vouched_for() -> None:
    checkpoint = Checkpoint(revision=5, position="5-x", source=Source.CACHE)
    client, _ = await _play([_snapshot(3), checkpoint], [])
    assert client.positions == [None, "5-x"]


async def test_reset_is_a_position_to_resume_from() -> None:
    client, _ = await _play([_snapshot(3)], [_snapshot(2, reset=True)], [])
    assert client.positions == [None, "3-x", "2-x"]


async def test_snapshot_in_the_middle_is_another_connection() -> None:
    _, history = await _play([_snapshot(3), _update(4), _snapshot(5), _snapshot(1, reset=True)], [])
    assert [connection for connection, *_ in _messages(history)] == [0, 0, 1, 1]


async def test_board_that_is_not_there_is_watched_again() -> None:
    missing = BoardNotFoundError("BOARD_NOT_FOUND", "")
    client, history = await _play([missing], [_snapshot(1)], [])
    assert client.positions == [None, None, "1-x"]
    (closed, *_) = [event for event in history.events if isinstance(event, Closed)]
    assert closed.reason == "BOARD_NOT_FOUND"


async def test_failure_that_no_watch_should_meet_ends_the_run() -> None:
    with pytest.raises(ZeroDivisionError):
        await _play([ZeroDivisionError()])


async def test_watcher_that_is_leaving_may_be_asked_to_remain() -> None:
    leaving, told = asyncio.Event(), asyncio.Event()

    class SlowToLeave(ScriptedClient):
        async def watch(self, **_: Any) -> AsyncGenerator[WatchEvent, None]:
            yield _snapshot(1)
            try:
                await asyncio.Event().wait()
            finally:
                leaving.set()
                await told.wait()

    observer = Observer(name="watch-1", board_id="main", history=History())
    watcher = Watcher(observer, SlowToLeave([]), random.Random(1), stay_seconds=0.001)  # type: ignore[arg-type]
    task = asyncio.create_task(watcher.run())
    async with asyncio.timeout(_SECONDS):
        await leaving.wait()
        watcher.remain()
        told.set()
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()


async def test_watcher_leaves_and_one_that_is_to_remain_does_not() -> None:
    client, history = ScriptedClient([[_snapshot(3)]]), History()
    observer = Observer(name="watch-1", board_id="main", history=history)
    watcher = Watcher(observer, client, random.Random(1), stay_seconds=0.01)  # type: ignore[arg-type]
    task = asyncio.create_task(watcher.run())
    try:
        async with asyncio.timeout(_SECONDS):
            while len(client.positions) < 3:  # noqa: ASYNC110 - it counts visits
                await asyncio.sleep(0.01)
            watcher.remain()
            # One that is leaving resumes first.
            while watcher._stay is None or watcher._stay.when() is not None:  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.01)
        count = len(client.positions)
        assert client.positions[1:] == ["3-x"] * (count - 1)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert {event.reason for event in history.events if isinstance(event, Closed)} == {"left"}
