"""What watches and feeds share: streams that are opened again, and where they go on."""

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any, Final

from conformance.adapter.client import Client, Failure
from conformance.server.scripted import Received, ScriptedServer
from conformance.trial import require, wait_until

HURRY_SECONDS: Final = 0.5
"""For how long a client gets the opportunity to do what it must not do."""


async def take(client: Client, count: int) -> list[Any]:
    """Take so many events, and say that all but the last one are handled."""
    events = []
    for number in range(count):
        event = await client.next()
        require(not isinstance(event, Failure), f"event {number + 1} of {count}", event)
        events.append(event)
    return events


async def let_break(server: ScriptedServer, method: str) -> None:
    """Wait until all streams have ended, and a moment more: a client in a hurry opens the next one."""

    def have_ended() -> bool:
        return all(call.ended_at is not None for call in server.calls(method))

    await wait_until(server, have_ended, "the stream to end", "an open stream")
    await asyncio.sleep(HURRY_SECONDS)


def position_of(call: Received) -> str | None:
    """Return where a stream goes on; None for one that starts."""
    return call.request.after_position or None


def require_positions(server: ScriptedServer, method: str, expected: Sequence[str | None]) -> None:
    """Judge where the streams went on."""
    seen = [position_of(call) for call in server.calls(method)]
    require(seen == list(expected), f"streams after {_list(expected)}", _list(seen))


def require_handled(client: Client, call: Received) -> None:
    """Judge whether a stream went on after the last event that was handled when it was opened."""
    handled, seen = client.handled_by(call.began_at), position_of(call)
    expected = f"a stream after {_name(handled)}, which was handled last"
    require(seen == handled, expected, f"one after {_name(seen)}")


def require_one_at_a_time(calls: Sequence[Received]) -> None:
    """Judge whether each stream was opened when the one before had ended."""
    for before, after in itertools.pairwise(calls):
        overlap = before.ended_at is None or before.ended_at > after.began_at
        require(not overlap, "one stream at a time", "a second stream beside an open one")


def _list(positions: Sequence[str | None]) -> str:
    return ", ".join(map(_name, positions))


def _name(position: str | None) -> str:
    return position or "the start"
