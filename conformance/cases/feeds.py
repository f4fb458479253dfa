"""Feeds: every entry once, in order, and where they go on."""

from collections.abc import Sequence
from typing import Any, Final

from grpc import StatusCode

from conformance.adapter.client import Client, Kind
from conformance.cases.case import Case, case
from conformance.cases.resumption import let_break, position_of, require_handled, require_positions, take
from conformance.server.scripted import play, reject
from conformance.trial import Trial, failure_of, require
from score_api.v1 import ledger_service_pb2 as ledger

_FEED: Final = "StreamEntries"
_BREAK: Final = reject(StatusCode.UNAVAILABLE)


def _message(revision: int, **content: Any) -> ledger.StreamEntriesResponse:
    return ledger.StreamEntriesResponse(revision=revision, position=f"{revision}-aa", **content)


def _entry(revision: int, *following: ledger.StreamEntriesResponse) -> ledger.StreamEntriesResponse:
    award = ledger.RecordedAward(
        award_id=f"00000000-0000-4000-8000-{revision:012}", revision=revision, user_id="ada", points=10
    )
    award.recorded_at.FromSeconds(1_796_040_000 + revision)
    return _message(revision, award=award, following=following)


async def _take_until(client: Client, revision: int) -> list[int]:
    """Take events up to the one of this revision, and return the revisions."""
    revisions: list[int] = []
    while not revisions or revisions[-1] != revision:
        [event] = await take(client, 1)
        revisions.append(event.revision)
        require(len(revisions) <= revision, f"entries up to {revision}, each once", revisions)
    return revisions


@case("feeds", "A feed hands each entry over once, and goes on after the last one that was handled.")
async def a_feed_goes_on_after_what_was_handled(trial: Trial) -> None:
    """Entries arrive in two messages, one of three, before the stream breaks."""
    server, client = await trial.open_one()
    server.script(_FEED, play(_entry(3, _entry(4), _entry(5)), _entry(6), then=_BREAK), play(_entry(7)))
    await client.entries("2-aa")
    revisions = await _take_until(client, 3)
    await let_break(server, _FEED)
    revisions += await _take_until(client, 7)
    require(revisions == [3, 4, 5, 6, 7], "the entries 3 to 7, each once", revisions)
    for call in server.calls(_FEED):
        require_handled(client, call)


@case("feeds", "A feed begins at the start of the ledger if it is not told where.")
async def a_feed_begins_at_the_start(trial: Trial) -> None:
    """The caller has no position yet."""
    server, client = await trial.open_one()
    server.script(_FEED, play(_entry(1)))
    await client.entries()
    await _take_until(client, 1)
    require_positions(server, _FEED, [None])


@case("feeds", "An entry that comes again is not handed over again.")
async def no_entry_comes_twice(trial: Trial) -> None:
    """A server sends an entry again, in two streams."""
    server, client = await trial.open_one()
    server.script(
        _FEED, play(_entry(1), _entry(2), then=_BREAK), play(_entry(2), _entry(3)), play(_entry(3), _entry(4))
    )
    await client.entries()
    revisions = await _take_until(client, 3)
    require(revisions == [1, 2, 3], "the entries 1 to 3, each once", revisions)


@case("feeds", "Checkpoints, and entries of a kind that is not known, move the position.")
async def what_is_no_entry_moves_a_feed(trial: Trial) -> None:
    """A checkpoint and an entry of a later version come before the stream breaks."""
    server, client = await trial.open_one()
    checkpoint = _message(8, checkpoint=ledger.FeedCheckpoint())
    server.script(_FEED, play(checkpoint, _message(9), then=_BREAK), play(_entry(10)))
    await client.entries("7-aa")
    revisions = await _take_until(client, 10)
    _, second = server.calls(_FEED)
    # What is not handed over is handled with what was before it.
    expected = "9-aa" if 9 not in revisions else client.handled_by(second.began_at)
    require(position_of(second) == expected, f"a stream after {expected}", position_of(second))


@case("feeds", "A position that is not of the ledger ends a feed: the caller decides where to go on.")
async def an_unknown_position_ends_a_feed(trial: Trial) -> None:
    """The record was restored to an earlier state."""
    await _require_end(trial, StatusCode.FAILED_PRECONDITION, "POSITION_UNKNOWN")


@case("feeds", "A position before what is archived ends a feed: the caller decides where to go on.")
async def an_archived_position_ends_a_feed(trial: Trial) -> None:
    """The entries after the position are archived."""
    await _require_end(trial, StatusCode.OUT_OF_RANGE, "HISTORY_ARCHIVED")


async def _require_end(trial: Trial, code: StatusCode, reason: str) -> None:
    server, client = await trial.open_one()
    server.script(_FEED, play(then=reject(code, reason)))
    await client.entries("9-bb")
    failure = failure_of(await client.next())
    require(failure.kind is Kind.REJECTED, "the failure rejected", failure)
    require(failure.reason == reason, f"the reason {reason}", failure.reason)
    require_positions(server, _FEED, ["9-bb"])


CASES: Final[Sequence[Case]] = (
    a_feed_goes_on_after_what_was_handled,
    a_feed_begins_at_the_start,
    no_entry_comes_twice,
    what_is_no_entry_moves_a_feed,
    an_unknown_position_ends_a_feed,
    an_archived_position_ends_a_feed,
)
