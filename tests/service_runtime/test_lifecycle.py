"""The end of tasks."""

import asyncio

import pytest
from tests.fixtures.tasks import go_on_once_cancelled

from service_runtime import lifecycle
from service_runtime.lifecycle import end_tasks


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
