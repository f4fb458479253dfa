"""A bound on work that is rare and heavy."""

import asyncio

import pytest

from score_service.boards.corrections.slots import Slots
from score_service.errors import OverloadedError


async def test_so_many_run_at_once_and_the_others_after_them() -> None:
    slots, running, seen = Slots(2, 8), 0, list[int]()

    async def work() -> None:
        nonlocal running
        async with slots.take():
            running += 1
            for _ in range(5):
                await asyncio.sleep(0)
            seen.append(running)
            running -= 1

    await asyncio.gather(*(work() for _ in range(10)))

    assert len(seen) == 10
    assert max(seen) == 2


async def test_what_finds_no_place_to_wait_is_rejected_at_once_and_one_that_leaves_makes_room() -> None:
    slots = Slots(1, 1)
    async with slots.take():
        waiting = asyncio.create_task(slots.take().__aenter__())
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await slots.take().__aenter__()
        waiting.cancel()
        await asyncio.wait([waiting])
        again = asyncio.create_task(slots.take().__aenter__())
        await asyncio.sleep(0)
        assert not again.done()
    await again
