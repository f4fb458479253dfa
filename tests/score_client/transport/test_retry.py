"""When something is tried again."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

import pytest

from score_client import NotAllowedError, ScoreClientError, UnavailableError
from score_client.transport.retry import LONGEST_ASKED_PAUSE, outcome, retried


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the pauses that were made; none of them takes any time."""
    seconds: list[float] = []
    sleep = asyncio.sleep

    async def skip(pause: float) -> None:
        seconds.append(pause)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", skip)
    return seconds


def failing(*errors: BaseException) -> Callable[[], Awaitable[str]]:
    """Return an attempt that fails with these errors, one after the other, and then succeeds."""
    left = list(errors)

    async def attempt() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return attempt


def unavailable(retry_after: float | None = None) -> ScoreClientError:
    return UnavailableError("UNAVAILABLE", "Not now.", retry_after)


async def test_pauses_grow_at_random_up_to_a_bound(pauses: list[float]) -> None:
    errors = [unavailable() for _ in range(40)]

    assert await retried(failing(*errors), on=(UnavailableError,), within=None) == "done"

    bounds = [0.1, 0.2, 0.4, 0.8, 1.6, *[2.0] * 35]
    assert all(0 <= pause <= bound for pause, bound in zip(pauses, bounds, strict=True))
    assert len(set(pauses)) == 40


async def test_a_pause_is_as_long_as_asked_for_but_bounded(pauses: list[float]) -> None:
    await retried(failing(unavailable(5.0), unavailable(1e9)), on=(UnavailableError,), within=None)

    assert 5.0 <= pauses[0] <= 5.1
    assert LONGEST_ASKED_PAUSE <= pauses[1] <= LONGEST_ASKED_PAUSE + 0.2


async def test_the_last_error_is_raised_when_the_time_is_over(pauses: list[float]) -> None:
    last = unavailable(3.0)

    with pytest.raises(UnavailableError) as caught:
        await retried(failing(unavailable(), last), on=(UnavailableError,), within=2.0)
    assert caught.value is last


@pytest.mark.parametrize("left", [0.5, 1.5])
async def test_an_outage_shorter_than_the_timeout_is_survived(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch, left: float
) -> None:
    began = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: began + sum(pauses))
    for _ in range(50):
        back = time.monotonic() + 30.0 - left

        async def attempt(back: float = back) -> str:
            if time.monotonic() < back:
                raise unavailable()
            return "done"

        assert await retried(attempt, on=(UnavailableError,), within=30.0) == "done"


@pytest.mark.parametrize("error", [NotAllowedError("NOT_ALLOWED", "No."), asyncio.CancelledError()])
async def test_other_outcomes_are_passed_on_unchanged(pauses: list[float], error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        await retried(failing(error), on=(UnavailableError,), within=None)

    assert caught.value is error
    assert pauses == []


async def test_a_long_outage_is_logged_once(pauses: list[float], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    await retried(failing(*[unavailable() for _ in range(5)]), on=(UnavailableError,), within=None)

    assert [record.getMessage() for record in caplog.records] == ["Trying again after UNAVAILABLE: Not now."]


async def test_a_cancellation_that_is_not_the_callers_is_a_lost_connection() -> None:
    call = asyncio.get_running_loop().create_future()
    call.cancel()

    with pytest.raises(UnavailableError) as caught:
        await outcome(call)
    assert caught.value.reason == "CANCELLED"
