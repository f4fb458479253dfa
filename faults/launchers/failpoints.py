"""`python -m faults.launchers.failpoints SPEC PACKAGE ARGUMENTS…`: runs a service that breaks as SPEC says.

SPEC is `NAME=ACTION@N`, or several, comma-separated: the process does ACTION when it passes the failpoint
NAME for the N-th time. The steps of the service are wrapped before it starts; it knows nothing of them.

Exit codes: 2 for a wrong SPEC, PACKAGE or usage; otherwise that of the service.
"""

import asyncio
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from importlib import import_module
from typing import Any, Final, NamedTuple, NoReturn, Self

import structlog

from faults.launchers.patching import patch
from faults.launchers.program import run_package

PAUSE_SECONDS: Final = 3.0
_FORM: Final = re.compile(r"(?P<name>\w+)=(?P<action>\w+)@(?P<passage>[1-9][0-9]{0,8})")
_USAGE: Final = "Usage: python -m faults.launchers.failpoints SPEC PACKAGE [ARGUMENTS…]"

_log = structlog.get_logger(__name__)


class Action(StrEnum):
    """What happens at a failpoint."""

    KILL = "kill"
    """The process ends at once, as by a crash of its machine."""
    PAUSE = "pause"
    """The step waits for `PAUSE_SECONDS`."""
    FAIL = "fail"
    """The step raises an error that the service does not know."""


class FailpointError(Exception):
    """The error that a step raises by `Action.FAIL`."""


class Step(NamedTuple):
    """A method of a service, and the failpoints before and after it; empty where there is none."""

    module: str
    owner: str
    method: str
    before: str = ""
    after: str = ""


STEPS: Final[Mapping[str, Sequence[Step]]] = {
    "score_service": (
        Step("score_service.record.ledger", "Ledger", "record_awards", "before_commit", "after_commit"),
        Step("score_service.projection.projection", "Projection", "apply_changes", after="after_apply"),
        Step("score_service.projection.generation", "Generation", "load", after="mid_rebuild"),
        Step("score_service.projection.generation", "Generation", "switch", before="before_switch"),
        Step(
            "score_service.operations.ledgers.archiver",
            "LedgerArchiver",
            "_keep",
            "before_files",
            "after_files",
        ),
        Step("score_service.operations.ledgers.export", "LedgerExporter", "_read_page", after="mid_files"),
        Step("score_service.record.archive", "Archive", "add_checkpoint_lines", after="mid_checkpoint"),
        Step("score_service.record.archive", "Archive", "archive_awards", "before_cut", "after_cut"),
        Step("score_service.record.archive", "Archive", "delete_archived", after="mid_delete"),
    ),
    "action_gateway": (
        Step("action_gateway.store.store", "Store", "reserve_attempt", after="after_reserve"),
        Step("score_client", "ScoreClient", "award", "before_award", "after_award"),
    ),
}
"""By package."""


@dataclass(frozen=True, slots=True)
class Failpoint:
    """What happens at one failpoint, once."""

    name: str
    action: Action
    passage: int
    """At which passage it happens, counted from 1."""

    @classmethod
    def parse(cls, text: str, names: Sequence[str]) -> Self:
        """Read `NAME=ACTION@N` with one of the names. Raises ValueError."""
        match = _FORM.fullmatch(text)
        if not match or match["name"] not in names or match["action"] not in set(Action):
            raise ValueError(f"{text!r} must be {'|'.join(names)}={'|'.join(Action)}@N")
        return cls(match["name"], Action(match["action"]), int(match["passage"]))

    def __str__(self) -> str:
        return f"{self.name}={self.action}@{self.passage}"


class Failpoints:
    """The active failpoints of this process, and how often each name was passed."""

    def __init__(self, active: Iterable[Failpoint]) -> None:
        self._active = tuple(active)
        self._passages = Counter[str]()

    def wrap(self, owner: Any, method: str, *, before: str = "", after: str = "") -> None:
        """Have each call of a coroutine method pass one failpoint before it, and another after it."""

        def make(work: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
            @wraps(work)
            async def pass_both(*args: Any, **kwargs: Any) -> Any:
                await self._pass(before)
                done = await work(*args, **kwargs)
                await self._pass(after)
                return done

            return pass_both

        patch(owner, method, make)

    async def _pass(self, name: str) -> None:
        self._passages[name] += 1
        for point in self._active:
            if (point.name, point.passage) == (name, self._passages[name]):
                _log.warning("failpoint_reached", failpoint=str(point))
                await _act(point.action)


def parse_spec(spec: str, package: str) -> list[Failpoint]:
    """Read the failpoints of a package. Raises ValueError."""
    if package not in STEPS:
        raise ValueError(f"{package!r} must be {'|'.join(STEPS)}")
    names = [name for step in STEPS[package] for name in (step.before, step.after) if name]
    return [Failpoint.parse(text, names) for text in spec.split(",")]


def main() -> None:
    """Wrap the steps of the service, and run it."""
    try:
        spec, package, *arguments = sys.argv[1:]
    except ValueError:
        _exit(_USAGE)
    try:
        failpoints = Failpoints(parse_spec(spec, package))
    except ValueError as error:
        _exit(str(error))
    for step in STEPS[package]:
        owner = getattr(import_module(step.module), step.owner)
        failpoints.wrap(owner, step.method, before=step.before, after=step.after)
    run_package(package, *arguments)


async def _act(action: Action) -> None:
    match action:
        case Action.KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        case Action.PAUSE:
            await asyncio.sleep(PAUSE_SECONDS)
        case Action.FAIL:
            raise FailpointError


def _exit(message: str) -> NoReturn:
    sys.stderr.write(f"{message}\n")
    sys.exit(2)


if __name__ == "__main__":
    main()
