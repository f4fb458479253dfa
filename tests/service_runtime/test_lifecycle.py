"""The end of tasks and of loops."""

import asyncio
from contextlib import suppress

import pytest
from tests.fixtures.tasks import go_on_once_cancelled

from service_runtime import lifecycle
from service_runtime.lifecycle import end_tasks, running_loop


async def test_tasks_end_also_where_their_first_cancellation_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "_CANCEL_SECONDS", 0.01)

    async def fail() -> None:
        raise ValueError

    deaf, failed, quiet = map(asyncio.create_task, (go_on_once_cancelled(), fail(), asyncio.sleep(600)))
    await asyncio.sleep(0)

    async with asyncio.timeout(60):
        await end_tasks(deaf, failed, quiet)

    assert deaf.cancelled()
    assert quiet.cancelled()
    assert isinstance(failed.exception(), ValueError)


async def test_no_tasks_are_no_reason_to_wait() -> None:
    await end_tasks()


async def test_a_loop_ends_also_where_its_cancellation_is_lost() -> None:
    rounds = 0

    async def loop(stop: asyncio.Event) -> None:
        nonlocal rounds
        while not stop.is_set():
            rounds += 1
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(600)

    async with asyncio.timeout(60), running_loop(loop, "deaf"):
        await asyncio.sleep(0)

    assert rounds == 1
