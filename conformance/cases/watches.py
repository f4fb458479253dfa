"""Watches: where they go on, when, and how much they hold."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from google.protobuf.message import Message
from grpc import StatusCode

from conformance.adapter.client import Failure, Kind
from conformance.cases.case import Case, case
from conformance.cases.resumption import (
    HURRY_SECONDS,
    let_break,
    position_of,
    require_handled,
    require_one_at_a_time,
    require_positions,
    take,
)
from conformance.server.scripted import Context, Step, answer, play, reject
from conformance.trial import Trial, failure_of, require, result_of, wait_until
from score_api.v1 import leaderboard_service_pb2 as boards
from score_api.v1 import types_pb2

_WATCH: Final = "WatchLeaderboard"
_BREAK: Final = reject(StatusCode.UNAVAILABLE)
_ASKED_PAUSE: Final = 1.0
_OUTAGE_STREAMS_MAX: Final = 20
_MESSAGES: Final = 64
_MESSAGE_BYTES: Final = 512 << 10
_HELD_BYTES_MAX: Final = 16 << 20


def _message(revision: int, **content: Any) -> boards.WatchLeaderboardResponse:
    return boards.WatchLeaderboardResponse(
        revision=revision, position=f"{revision}-aa", source=types_pb2.SOURCE_CACHE, **content
    )


def _snapshot(revision: int, *, reset: bool = False) -> boards.WatchLeaderboardResponse:
    top = [types_pb2.Standing(user_id="ada", total=10 * revision, rank=1)]
    return _message(revision, snapshot=boards.Snapshot(top=top, reset=reset))


def _update(revision: int, user_id: str = "ada") -> boards.WatchLeaderboardResponse:
    return _message(
        revision, update=boards.Update(scores=[types_pb2.Standing(user_id=user_id, total=10 * revision)])
    )


def _require_revisions(events: Sequence[boards.WatchLeaderboardResponse], expected: Sequence[int]) -> None:
    seen = [event.revision for event in events]
    require(seen == list(expected), f"the revisions {list(expected)}", seen)


@case("watches", "A watch goes on after the last event that was handled, not just received.")
async def a_watch_goes_on_after_what_was_handled(trial: Trial) -> None:
    """Three events arrive before the stream breaks; the first one is being handled."""
    server, client = await trial.open_one()
    server.script(
        _WATCH, play(_snapshot(1), _update(2), _update(3), then=_BREAK), play(_snapshot(4), _update(4))
    )
    await client.watch()
    events = await take(client, 1)
    await let_break(server, _WATCH)
    events += await take(client, 4)
    _require_revisions(events, [1, 2, 3, 4, 4])
    for call in server.calls(_WATCH):
        require_handled(client, call)


@case("watches", "A watch goes on from a position that the caller kept.")
async def a_watch_begins_where_it_is_told(trial: Trial) -> None:
    """The caller kept a position of before."""
    server, client = await trial.open_one()
    server.script(_WATCH, play(_snapshot(9), _update(9)))
    await client.watch("7-aa")
    await take(client, 2)
    require_positions(server, _WATCH, ["7-aa"])


@case("watches", "The first snapshot after a resumption keeps the old position until changes have come.")
async def a_resumed_snapshot_is_no_position(trial: Trial) -> None:
    """Streams break right after a snapshot, with and without reset."""
    server, client = await trial.open_one()
    server.script(
        _WATCH,
        play(_snapshot(1), _update(2), then=_BREAK),
        play(_snapshot(6), then=_BREAK),
        play(_snapshot(7), _update(5), then=_BREAK),
        play(_snapshot(8, reset=True), then=_BREAK),
        play(_snapshot(9)),
    )
    await client.watch()
    await take(client, 7)
    require_positions(server, _WATCH, [None, "2-aa", "2-aa", "5-aa", "8-aa"])


@case("watches", "A watch that ended in any passing way is opened again, one stream at a time.")
async def one_stream_at_a_time(trial: Trial) -> None:
    """Streams end in order, by age, as evicted and by a fault."""
    server, client = await trial.open_one()
    breaks: Sequence[Step | None] = (
        None,
        reject(StatusCode.UNAVAILABLE, "CONNECTION_AGED"),
        reject(StatusCode.RESOURCE_EXHAUSTED, "WATCHER_EVICTED", retry_after=0.1),
        reject(StatusCode.INTERNAL, "INTERNAL"),
    )
    steps = [
        play(_snapshot(number), _update(number), then=then) for number, then in enumerate(breaks, start=1)
    ]
    server.script(_WATCH, *steps, play(_snapshot(5), _update(5)))
    await client.watch()
    events = []
    for _ in range(10):
        events += await take(client, 1)
        require_one_at_a_time(server.calls(_WATCH))
    _require_revisions(events, [1, 1, 2, 2, 3, 3, 4, 4, 5, 5])
    streams = len(server.calls(_WATCH))
    require(streams == len(breaks) + 1, f"{len(breaks) + 1} streams", streams)


@case("watches", "A stream that brings nothing for longer than signs of life are apart is given up.")
async def a_silent_stream_is_given_up(trial: Trial) -> None:
    """A stream brings one event, and then nothing any more."""
    server, client = await trial.open_one(stall_seconds=1.0)
    server.script(_WATCH, play(_snapshot(1)), play(_snapshot(2), _update(2)))
    await client.watch()
    _require_revisions(await take(client, 3), [1, 2, 2])
    await wait_until(
        server,
        lambda: server.calls(_WATCH)[0].ended_at is not None,
        "the silent stream to be ended",
        "it open still",
    )


@case("watches", "A watch ends with what was rejected for good, and is not opened again.")
async def a_rejected_watch_ends(trial: Trial) -> None:
    """The policy is another one by now; the season is over and no other follows."""
    server, client = await trial.open_one()
    for code, reason in (
        (StatusCode.PERMISSION_DENIED, "NOT_ALLOWED"),
        (StatusCode.NOT_FOUND, "PERIOD_UNKNOWN"),
        (StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
    ):
        server.received.clear()
        server.script(_WATCH, play(_snapshot(1), then=reject(code, reason)))
        await client.watch()
        await take(client, 1)
        failure = failure_of(await client.next())
        require(failure.kind is Kind.REJECTED, f"the failure rejected after {reason}", failure)
        require(failure.reason == reason, f"the reason {reason}", failure.reason)
        await asyncio.sleep(HURRY_SECONDS)
        require(len(server.calls(_WATCH)) == 1, "no other stream", f"{len(server.calls(_WATCH))} streams")


@case("watches", "A watch that is asked to come again later does not come earlier.")
async def an_evicted_watch_waits_as_asked(trial: Trial) -> None:
    """The service has no room for the watch for a second."""
    server, client = await trial.open_one()
    evicted = reject(StatusCode.RESOURCE_EXHAUSTED, "WATCHER_EVICTED", retry_after=_ASKED_PAUSE)
    server.script(_WATCH, play(_snapshot(1), then=evicted), play(_snapshot(2)))
    await client.watch()
    await take(client, 2)
    first, second = server.calls(_WATCH)
    pause = second.began_at - (first.ended_at or 0.0)
    require(pause >= _ASKED_PAUSE - 0.01, f"a pause of {_ASKED_PAUSE} s at least", f"{pause:.2f} s")


@case("watches", "Pauses between streams that break at once grow.")
async def a_watch_does_not_flood_in_an_outage(trial: Trial) -> None:
    """Every stream breaks at once, for three seconds."""
    server, client = await trial.open_one()
    server.script(_WATCH, play(then=_BREAK))
    await client.watch()
    event = trial.start(client.next())
    await asyncio.sleep(3)
    streams = len(server.calls(_WATCH))
    server.script(_WATCH, play(_snapshot(1)))
    require(not isinstance(await event, Failure), "an event when the outage is over", event)
    require(streams > 1, "other streams after the first one", streams)
    require(streams <= _OUTAGE_STREAMS_MAX, f"at most {_OUTAGE_STREAMS_MAX} streams in 3 s", streams)


@case("watches", "A message of a kind that is not known moves the position, and is no error.")
async def an_unknown_message_moves_a_watch(trial: Trial) -> None:
    """A later version of the service sends something new."""
    server, client = await trial.open_one()
    is_waited_for = asyncio.Event()

    async def break_then(request: Any, context: Context) -> Message | bytes:
        await is_waited_for.wait()
        return await _BREAK(request, context)

    server.script(
        _WATCH, play(_snapshot(1), _message(2), then=break_then), play(_snapshot(3), _update(3), _update(4))
    )
    await client.watch()
    await take(client, 1)
    following = trial.start(take(client, 1))
    await asyncio.sleep(0)
    is_waited_for.set()
    events = await following
    while events[-1].revision != 4:
        events += await take(client, 1)
    _, second = server.calls(_WATCH)
    is_handed_over = any(event.revision == 2 for event in events)
    expected = client.handled_by(second.began_at) if is_handed_over else "2-aa"
    require(position_of(second) == expected, f"a stream after {expected}", position_of(second))


@case("watches", "A watch is read at once, holds little of what is not asked for, and no other call up.")
async def a_slow_reader_holds_little(trial: Trial) -> None:
    """32 MiB are ready to be sent, and nobody asks for them."""
    server, client = await trial.open_one()
    sent = 0

    async def flood(_request: Any, _context: Context) -> AsyncIterator[boards.WatchLeaderboardResponse]:
        nonlocal sent
        yield _snapshot(1)
        for number in range(_MESSAGES):
            yield _update(2 + number, "u" * _MESSAGE_BYTES)
            sent += 1
        await asyncio.Event().wait()

    server.script(_WATCH, flood, play(_snapshot(1000)))
    server.script("ListStandings", answer(boards.ListStandingsResponse(position="1-aa")))
    await client.watch()
    await take(client, 1)
    before = -1
    while before != sent:
        before = sent
        await asyncio.sleep(2 * HURRY_SECONDS)
    result_of(await client.top())
    await client.stop()
    held = f"at most {_HELD_BYTES_MAX >> 20} MiB taken"
    require(sent * _MESSAGE_BYTES <= _HELD_BYTES_MAX, held, f"{sent * _MESSAGE_BYTES >> 20} MiB")


@case("watches", "A watch that is stopped ends its stream.")
async def a_stopped_watch_ends_its_stream(trial: Trial) -> None:
    """The caller has enough after one event."""
    server, client = await trial.open_one()
    server.script(_WATCH, play(_snapshot(1)))
    await client.watch()
    await take(client, 1)
    await client.stop()
    await wait_until(
        server,
        lambda: all(call.ended_at is not None for call in server.calls(_WATCH)),
        "the stream to be ended",
        "it open still",
    )


CASES: Final[Sequence[Case]] = (
    a_watch_goes_on_after_what_was_handled,
    a_watch_begins_where_it_is_told,
    a_resumed_snapshot_is_no_position,
    one_stream_at_a_time,
    a_silent_stream_is_given_up,
    a_rejected_watch_ends,
    an_evicted_watch_waits_as_asked,
    a_watch_does_not_flood_in_an_outage,
    an_unknown_message_moves_a_watch,
    a_slow_reader_holds_little,
    a_stopped_watch_ends_its_stream,
)
