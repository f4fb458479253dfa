"""Load."""

import asyncio

import pytest

from bench.load.load import keep_in_flight, keep_pace


class Server:
    """Answers after a while, and counts."""

    def __init__(self) -> None:
        self.now = self.most = self.answered = 0

    async def call(self) -> int:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.002)
        self.now -= 1
        self.answered += 1
        return 3


async def test_as_many_calls_are_in_flight_as_asked_and_every_answer_counts() -> None:
    server = Server()
    sample = await keep_in_flight(server.call, 4, 0.05)
    assert server.most == 4
    assert sample.count == 3 * server.answered == 3 * len(sample.latencies)
    assert sample.seconds >= 0.05


async def test_each_call_is_made_once_at_least_however_little_time_there_is() -> None:
    server = Server()
    sample = await keep_in_flight(server.call, 4, 0)
    assert server.answered == len(sample.latencies) == 4


async def test_load_ends_when_nothing_is_left_to_do_which_counts_as_no_answer() -> None:
    left = list(range(6))

    async def call() -> int:
        await asyncio.sleep(0)
        return bool(left and left.pop() + 1)

    sample = await asyncio.wait_for(keep_in_flight(call, 4, 600), 60)
    assert sample.count == len(sample.latencies) == 6


async def test_a_pace_is_kept_however_long_answers_take() -> None:
    server = Server()
    sample = await keep_pace(server.call, 1_000, 0.05)
    assert server.answered == 50
    assert sample.count == 150
    assert server.most > 1


@pytest.mark.parametrize("keep", [keep_in_flight, keep_pace])
async def test_a_call_that_fails_ends_the_load(keep: object) -> None:
    async def fail() -> int:
        raise ConnectionError

    with pytest.raises(ExceptionGroup):
        await keep(fail, 2, 10)  # type: ignore[operator]
