"""Time limits: what is done at once, in time, too late, and given up."""

import asyncio

import pytest

from service_runtime.http.time_limit import TimeLimited

AMPLE = 60.0


async def give(value: int, steps: int = 0) -> int:
    for _ in range(steps):
        await asyncio.sleep(0)
    return value


@pytest.mark.parametrize("steps", [0, 1, 5])
async def test_what_is_done_in_time_is_returned(steps: int) -> None:
    assert await TimeLimited(give(7, steps), AMPLE) == 7


async def test_what_does_not_wait_sets_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "timeout", None)

    assert await TimeLimited(give(7), 0.0) == 7


async def test_what_takes_too_long_is_cancelled() -> None:
    ended = list[str]()

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("wait")

    with pytest.raises(TimeoutError):
        await TimeLimited(wait(), 0.01)
    assert ended == ["wait"]


async def test_what_fails_fails_before_and_after_it_waits() -> None:
    async def fail(steps: int) -> None:
        await give(0, steps)
        raise KeyError(steps)

    for steps in (0, 2):
        with pytest.raises(KeyError):
            await TimeLimited(fail(steps), AMPLE)


async def test_the_result_of_a_future_arrives() -> None:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def wait() -> int:
        return await future + await give(1, 1)

    asyncio.get_running_loop().call_soon(future.set_result, 6)
    assert await TimeLimited(wait(), AMPLE) == 7


async def test_a_cancellation_is_no_timeout_and_can_be_handled() -> None:
    begun, handled = asyncio.Event(), list[str]()

    async def wait() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await give(0, 2)  # Cleans up.
            handled.append("wait")
            raise

    async def limited() -> None:
        await TimeLimited(wait(), AMPLE)

    task = asyncio.create_task(limited())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert handled == ["wait"]
