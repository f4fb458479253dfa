"""How many calls are begun, and when they have ended."""

import asyncio

import pytest

from faults.workload.pace import Pace

_SECONDS = 60.0


async def test_calls_are_begun_at_the_rate_until_it_is_stopped() -> None:
    loop, times = asyncio.get_running_loop(), list[float]()

    async def act() -> None:
        times.append(loop.time())
        if len(times) == 120:
            pace.stop()

    pace = Pace("call", 200, act, 100)
    async with asyncio.timeout(_SECONDS):
        await pace.run()
        await pace.ended()
    assert len(times) >= 120
    # A loop that was late makes up for a quarter of a second, of which all may come first.
    assert times[-1] - times[0] >= 0.3


async def test_no_more_calls_are_under_way_than_allowed() -> None:
    running = most = done = 0

    async def act() -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.03)
        running -= 1
        done += 1
        if done > 10:
            pace.stop()

    pace = Pace("call", 10_000, act, 3)
    async with asyncio.timeout(_SECONDS):
        await pace.run()
    assert most == 3


async def test_it_has_ended_only_after_the_last_call() -> None:
    release, began = asyncio.Event(), asyncio.Event()

    async def act() -> None:
        began.set()
        await release.wait()

    pace = Pace("call", 1_000, act, 1)
    async with asyncio.timeout(_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(pace.run())
        ended = group.create_task(pace.ended())
        await began.wait()
        pace.stop()
        await asyncio.sleep(0)
        assert not ended.done()
        release.set()


async def test_call_that_fails_ends_the_run() -> None:
    async def act() -> None:
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.timeout(_SECONDS):
            await Pace("call", 1_000, act, 1).run()
    assert caught.group_contains(ZeroDivisionError)
