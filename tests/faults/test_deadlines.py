"""Waits of a run, which end."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from faults.deadlines import StuckError, within

_STUCK = """
import asyncio, time
from faults import deadlines

async def main():
    deadlines._GRACE_SECONDS = 0.1
    async with deadlines.within(0.1, "the end of the world"):
        time.sleep(60)

asyncio.run(main())
"""


async def test_what_does_not_come_is_named() -> None:
    with pytest.raises(StuckError, match=r"Waited 0\.01 s in vain for the end of the world"):
        async with within(0.01, "the end of the world"):
            await asyncio.Event().wait()


async def test_a_time_limit_inside_of_it_is_no_concern_of_it() -> None:
    with pytest.raises(TimeoutError):
        async with within(60, "something"), asyncio.timeout(0):
            await asyncio.Event().wait()


def test_a_process_that_heeds_no_cancellation_ends_and_says_what_it_waited_for() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _STUCK],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("Waited 0.1 s in vain for the end of the world.")
