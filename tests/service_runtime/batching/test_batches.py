"""How items become batches, with work that the test holds in its hands."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextvars import ContextVar

import pytest

from service_runtime.batching import crowd
from service_runtime.batching.batches import Batches

LIMIT = 3
REQUEST: ContextVar[str] = ContextVar("REQUEST", default="")


class Work:
    """Repeats words in capital letters, once the test lets it."""

    def __init__(self) -> None:
        self.batches: list[Sequence[str]] = []
        self.requests: list[str] = []
        self.gates: list[asyncio.Future[None]] = []
        self.begun = asyncio.Event()

    async def do(self, words: Sequence[str]) -> list[str]:
        self.batches.append(words)
        self.requests.append(REQUEST.get())
        self.gates.append(asyncio.get_running_loop().create_future())
        self.begun.set()
        await self.gates[-1]
        return [word.upper() for word in words]

    async def let_end(self, error: Exception | None = None) -> None:
        """Let the batch under way end, and the next one begin."""
        if error:
            self.gates[-1].set_exception(error)
        else:
            self.gates[-1].set_result(None)
        await turn_over()


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
async def batches(work: Work) -> AsyncIterator[Batches[str, str]]:
    batches = Batches("words", work.do, limit=LIMIT, key=lambda word: word[0])
    yield batches
    assert all(gate.done() for gate in work.gates)


async def turn_over() -> None:
    """Let everything happen that can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def add(batches: Batches[str, str], *words: str) -> list[asyncio.Task[str]]:
    tasks = [asyncio.create_task(batches.add(word)) for word in words]
    await turn_over()
    return tasks


async def test_items_share_the_batch_after_the_one_under_way_and_each_gets_its_own_outcome(
    work: Work, batches: Batches[str, str]
) -> None:
    first = await add(batches, "a")
    later = [*await add(batches, "b"), *await add(batches, "c")]
    assert work.batches == [["a"]]
    await work.let_end()
    await work.let_end()

    assert work.batches == [["a"], ["b", "c"]]
    assert await asyncio.gather(*first, *later) == ["A", "B", "C"]


async def test_a_batch_has_a_limit_and_no_two_items_of_a_key_in_the_order_in_which_they_came(
    work: Work, batches: Batches[str, str]
) -> None:
    tasks = await add(batches, "a1", "a2", "b1", "a3", "c1", "d1", "e1")
    for _ in range(3):
        await work.let_end()

    assert work.batches == [["a1", "b1", "c1"], ["a2", "d1", "e1"], ["a3"]]
    assert await asyncio.gather(*tasks) == ["A1", "A2", "B1", "A3", "C1", "D1", "E1"]


async def test_after_many_an_item_waits_for_others_on_their_way(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crowd, "_NAP_SECONDS", 0.2)
    batches = Batches("words", work.do, limit=10)
    many = await add(batches, "a", "b", "c", "d")
    await work.let_end()
    gathered = [*await add(batches, "e"), *await add(batches, "f")]
    assert work.batches == [["a", "b", "c", "d"]]
    work.begun.clear()
    async with asyncio.timeout(20):
        await work.begun.wait()
    await work.let_end()

    assert work.batches == [["a", "b", "c", "d"], ["e", "f"]]
    assert await asyncio.gather(*many, *gathered) == list("ABCDEF")


async def test_items_without_a_key_share_a_batch_though_they_are_equal(work: Work) -> None:
    batches = Batches("words", work.do, limit=LIMIT)
    tasks = await add(batches, "a", "a")
    await work.let_end()

    assert work.batches == [["a", "a"]]
    assert await asyncio.gather(*tasks) == ["A", "A"]


async def test_a_caller_that_gives_up_stops_no_batch_and_what_has_not_begun_is_left_out(
    work: Work, batches: Batches[str, str]
) -> None:
    [impatient, patient] = await add(batches, "a", "b")
    [waiting] = await add(batches, "c")
    impatient.cancel()
    waiting.cancel()
    await turn_over()
    await work.let_end()

    assert await patient == "B"
    assert work.batches == [["a", "b"]]
    [later] = await add(batches, "d")
    await work.let_end()
    assert await later == "D"


async def test_where_a_batch_fails_each_gets_the_error_and_the_next_one_is_done(
    work: Work, batches: Batches[str, str]
) -> None:
    failing = await add(batches, "a", "b")
    [later] = await add(batches, "c")
    await work.let_end(OSError("lost"))
    await work.let_end()

    for task in failing:
        with pytest.raises(OSError, match="lost"):
            await task
    assert await later == "C"


async def test_a_batch_is_not_done_in_the_context_of_a_request(
    work: Work, batches: Batches[str, str]
) -> None:
    REQUEST.set("first")
    tasks = await add(batches, "a")
    await work.let_end()

    assert await asyncio.gather(*tasks) == ["A"]
    assert work.requests == [""]
