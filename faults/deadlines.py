"""Bounds for the waits of a run. Each has a name, so that a run that cannot go on says what it waited for."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from local_stack.errors import LocalStackError

_GRACE_SECONDS: Final = 60.0
"""For a block to end once it was cancelled."""


class StuckError(LocalStackError):
    """Something that the run waited for did not come."""


@asynccontextmanager
async def within(seconds: float, awaited: str) -> AsyncIterator[None]:
    """Bound a block: after so many seconds it is cancelled.

    A block that does not heed its cancellation, or blocks the event loop, is past help: a minute later the
    process ends, with exit code 1, and all that it has started ends with it.

    Args:
        seconds: Far more than it ever takes.
        awaited: What is waited for, as `postgres to be promoted`.

    Raises:
        StuckError: Time was up.
    """
    message = f"Waited {seconds:g} s in vain for {awaited}."
    last_resort = threading.Timer(seconds + _GRACE_SECONDS, _end_process, [message])
    last_resort.daemon = True
    last_resort.start()
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise StuckError(message) from error
    finally:
        last_resort.cancel()


def _end_process(message: str) -> None:
    sys.stderr.write(f"{message} It did not heed its cancellation, so the process ends.\n")
    sys.stderr.flush()
    os._exit(1)
