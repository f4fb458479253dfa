"""Tries cases on a client, one after the other, and says what became of each."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from conformance.adapter.client import Client, Unsupported
from conformance.adapter.process import AdapterFault, AdapterProcess
from conformance.cases import answers, awards, connections, feeds, watches
from conformance.cases.case import Case
from conformance.trial import Trial, Violation

CASES: Final[Sequence[Case]] = (
    *awards.CASES,
    *answers.CASES,
    *watches.CASES,
    *feeds.CASES,
    *connections.CASES,
)
"""All of them."""
ANSWER_SECONDS: Final = 30.0
"""How long an adapter may take to answer, also on a busy machine."""
_CASE_SECONDS: Final = 120.0


class Outcome(StrEnum):
    """What became of a case."""

    OK = "ok"
    VIOLATED = "violated"
    SKIPPED = "skipped"
    """The adapter says that its client cannot do what it takes."""


@dataclass(frozen=True)
class Verdict:
    """A case, and what became of it.

    Attributes:
        case: The case.
        outcome: What became of it.
        expected: What was expected, if it is violated.
        seen: What was seen instead, or why it is skipped.
        seconds: How long it took.
    """

    case: Case
    outcome: Outcome
    expected: str
    seen: str
    seconds: float


async def try_cases(
    cases: Sequence[Case], command: Sequence[str], *, answer_seconds: float = ANSWER_SECONDS
) -> AsyncIterator[Verdict]:
    """Try these cases on the adapter that the command starts.

    One process serves all of them, and is replaced after a case that is violated, and for one that needs an
    environment of its own.

    Raises:
        AdapterFault: What the command starts is no adapter: it cannot even close a client. No case was tried.
    """
    async with AsyncExitStack() as stack:
        first = AdapterProcess(command, answer_seconds=answer_seconds)
        await Client(await stack.enter_async_context(first)).close()
        process: AdapterProcess | None = first
        for case in cases:
            began = time.monotonic()
            try:
                if process is None or case.environment:
                    await stack.aclose()
                    process = AdapterProcess(
                        command, answer_seconds=answer_seconds, environment=case.environment
                    )
                    await stack.enter_async_context(process)
                outcome, expected, seen = await _try(case, process)
            except AdapterFault as fault:
                outcome, expected, seen = Outcome.VIOLATED, "an adapter that answers", str(fault)
            yield Verdict(case, outcome, expected, seen, time.monotonic() - began)
            if outcome is Outcome.VIOLATED or case.environment:
                process = None


async def _try(case: Case, process: AdapterProcess) -> tuple[Outcome, str, str]:
    try:
        async with asyncio.timeout(_CASE_SECONDS), Trial(process) as trial:
            await case.play(trial)
            await Client(process).close()
    except Violation as violation:
        return Outcome.VIOLATED, violation.expected, violation.seen
    except Unsupported as told:
        await Client(process).close()
        return Outcome.SKIPPED, "", str(told)
    except TimeoutError:
        return Outcome.VIOLATED, "an end", "none in time"
    return Outcome.OK, "", ""
