"""How long is waited for a crowd, with arrivals that the test scripts: how many come in each nap."""

import asyncio

import pytest

from service_runtime.batching.crowd import Crowd, gather_arriving


class Arrivals:
    """Those who have come, and how many naps were taken."""

    def __init__(self) -> None:
        self.come = self.naps = 0
        self.script: list[int] = []

    async def sleep(self, seconds: float) -> None:
        assert 0 < seconds < 0.01
        self.naps += 1
        self.come += self.script.pop(0) if self.script else 0


@pytest.mark.parametrize(
    ("before", "first", "script", "gathered"),
    [
        ([], 1, [9], 1),  # Nobody is expected.
        ([3], 1, [9], 1),  # Nor after a few.
        ([16], 1, [0, 2, 0, 0, 13], 16),  # As many as before are waited for.
        ([16], 1, [2, 0, 3, 0, 1, 9], 7),  # But not for ever.
        ([8], 8, [3, 1, 0, 9], 12),  # More than before are waited for while each nap brings some.
        ([8], 8, [0, 9], 8),
        ([16], 16, [9], 16),  # Enough have come.
        ([500], 20, [9], 20),
        ([16, 1], 1, [0, 4], 5),  # One alone does not mean that the others have left.
        ([16, 1, 1, 1], 1, [9], 1),  # Again and again it does.
    ],
)
async def test_more_are_waited_for_while_they_are_expected_and_come(
    before: list[int], first: int, script: list[int], gathered: int
) -> None:
    arrivals = Arrivals()
    crowd = Crowd(arrivals.sleep)
    for count in before:
        crowd.note(count)
    arrivals.come, arrivals.script = first, script

    await crowd.gather(lambda: arrivals.come)

    assert arrivals.come == gathered


async def test_a_crowd_that_has_left_is_waited_for_three_times() -> None:
    arrivals = Arrivals()
    crowd = Crowd(arrivals.sleep)
    crowd.note(500)
    waits = []
    for _ in range(5):
        arrivals.come, arrivals.naps = 1, 0
        await crowd.gather(lambda: arrivals.come)
        crowd.note(arrivals.come)
        waits.append(arrivals.naps)

    assert waits == [5, 5, 5, 0, 0]


async def test_those_who_arrive_turn_by_turn_are_gathered_up_to_a_number() -> None:
    come = 0

    async def arrive() -> None:
        nonlocal come
        for _ in range(20):
            come += 1
            await asyncio.sleep(0)

    arriving = asyncio.create_task(arrive())
    await gather_arriving(lambda: come, 5)
    assert come == 5
    await gather_arriving(lambda: come, 100)
    assert come == 20
    await arriving
