"""Named places at which the process breaks itself, for tests that ask what is lost then.

The code that works knows nothing of them: where the setting names some, they are put around the steps of
what is outside of the process when those are opened. Otherwise they cost nothing.
"""

import asyncio
import os
import re
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from typing import Any, Final, Self

import structlog

NAMES: Final = ("after_reserve", "before_award", "after_award")
PAUSE_SECONDS: Final = 3.0
_FORM: Final = re.compile(r"(?P<name>\w+)=(?P<action>\w+)@(?P<passage>[1-9][0-9]{0,8})")

_log = structlog.get_logger(__name__)


class Action(StrEnum):
    """What happens there."""

    KILL = "kill"
    """The process is gone at once, as if its machine were."""
    PAUSE = "pause"
    """Nothing, for some seconds."""
    FAIL = "fail"
    """The step fails with an error that nobody knows."""


class FailpointError(Exception):
    """What a step fails with that was told to."""


@dataclass(frozen=True, slots=True)
class Failpoint:
    """What happens at one place, once."""

    name: str
    action: Action
    passage: int
    """How often the place is passed, up to and with this time; from 1."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `NAME=ACTION@N`. Raises ValueError."""
        match = _FORM.fullmatch(text)
        if not match or match["name"] not in NAMES or match["action"] not in set(Action):
            raise ValueError(f"must be {'|'.join(NAMES)}={'|'.join(Action)}@N")
        return cls(match["name"], Action(match["action"]), int(match["passage"]))

    def __str__(self) -> str:
        return f"{self.name}={self.action}@{self.passage}"


class Failpoints:
    """The failpoints of this process, and how often each place was passed."""

    def __init__(self, armed: Sequence[Failpoint]) -> None:
        self._armed = armed
        self._passages = Counter[str]()
        _log.warning("failpoints_armed", failpoints=list(map(str, armed)))

    def put_around(self, part: object, step: str, *, before: str = "", after: str = "") -> None:
        """Have a part pass one place before each of its steps of this name, another one after it."""
        work: Callable[..., Awaitable[Any]] = getattr(part, step)

        @wraps(work)
        async def pass_both(*args: Any, **kwargs: Any) -> Any:
            await self._pass(before)
            done = await work(*args, **kwargs)
            await self._pass(after)
            return done

        setattr(part, step, pass_both)

    async def _pass(self, name: str) -> None:
        self._passages[name] += 1
        for point in self._armed:
            if (point.name, point.passage) == (name, self._passages[name]):
                _log.warning("failpoint_reached", failpoint=str(point))
                await _act(point.action)


async def _act(action: Action) -> None:
    match action:
        case Action.KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        case Action.PAUSE:
            await asyncio.sleep(PAUSE_SECONDS)
        case Action.FAIL:
            raise FailpointError
