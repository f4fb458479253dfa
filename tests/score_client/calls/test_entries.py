"""The entries of a board across the streams that it takes to read them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.services.score_service import ScoreService

from conformance.server.scripted import ScriptedServer, Step, play, reject
from score_api.v1 import board_service_pb2 as boards
from score_api.v1 import correction_service_pb2 as corrections
from score_api.v1 import ledger_service_pb2 as ledger
from score_api.v1 import types_pb2
from score_client import (
    BoardNotFoundError,
    ClientClosedError,
    ClientCredentials,
    Entry,
    EntryKind,
    HistoryArchivedError,
    InvalidRequestError,
    LedgerArchived,
    NotAllowedError,
    PeriodClosed,
    PositionUnknownError,
    RecordedAward,
    Reversal,
    ScoreClient,
    SettingsChange,
    Visibility,
    VisibilityChange,
)

AWARD_ID = UUID("123e4567-e89b-12d3-a456-426614174000")
MOMENT = datetime(2026, 11, 30, 12, 0, 0, 123456, tzinfo=UTC)


def at(moment: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp


def message(
    revision: int, *following: ledger.StreamEntriesResponse, **body: Any
) -> ledger.StreamEntriesResponse:
    return ledger.StreamEntriesResponse(
        revision=revision, position=f"{revision}-00", following=following, **body
    )


def award(revision: int, *following: ledger.StreamEntriesResponse) -> ledger.StreamEntriesResponse:
    recorded = ledger.RecordedAward(award_id=str(AWARD_ID), revision=revision, user_id="ada", points=revision)
    return message(revision, *following, award=recorded)


def checkpoint(revision: int) -> ledger.StreamEntriesResponse:
    return message(revision, checkpoint=ledger.FeedCheckpoint())


async def take(entries: AsyncIterator[Entry], count: int) -> list[Entry]:
    async with asyncio.timeout(30):
        return [await anext(entries) for _ in range(count)]


def positions(server: ScriptedServer) -> list[str]:
    """Return the position that each stream was opened with."""
    return [call.request.after_position for call in server.calls("StreamEntries")]


@pytest.fixture
async def client(server: ScriptedServer, credentials: ClientCredentials) -> AsyncIterator[ScoreClient]:
    async with ScoreClient(server.target, credentials=credentials) as client:
        yield client


async def test_entries_of_every_kind_are_typed(server: ScriptedServer, client: ScoreClient) -> None:
    recorded = ledger.RecordedAward(
        award_id=str(AWARD_ID),
        revision=1,
        user_id="ada",
        points=5,
        total=7,
        action_type="puzzle",
        action_id="puzzle_1",
        caller="spiffe://laurel.local/backend",
        recorded_at=at(MOMENT),
        periods=["day:2026-11-30"],
    )
    reversal = types_pb2.Reversal(
        reversal_id=str(AWARD_ID), award_id=str(AWARD_ID), points=5, reason="a trick", recorded_at=at(MOMENT)
    )
    visibility = ledger.VisibilityChange(
        user_id="ada", visibility=corrections.VISIBILITY_SHADOWED, reason="cheats", recorded_at=at(MOMENT)
    )
    period = types_pb2.Period(
        id="day:2026-11-29",
        kind=types_pb2.PERIOD_KIND_DAY,
        state=types_pb2.PERIOD_STATE_FINAL,
        starts_at=at(MOMENT),
        ends_at=at(MOMENT + timedelta(days=1)),
        closes_at=at(MOMENT + timedelta(days=1)),
    )
    closed = ledger.PeriodClosed(period=period, digest=b"x" * 32, final_revision=3, recorded_at=at(MOMENT))
    settings = ledger.SettingsChange(
        board=boards.Board(board_id="main", time_zone="UTC", late=boards.LATE_POLICY_CURRENT),
        actor="operator",
        recorded_at=at(MOMENT),
    )
    archived = ledger.LedgerArchived(
        archived_revision=2,
        archived_position="2-00",
        awards=1,
        actor="operator",
        recorded_at=at(MOMENT),
    )
    server.script(
        "StreamEntries",
        play(
            message(1, award=recorded),
            message(2, reversal=reversal),
            message(3, visibility=visibility),
            message(4, period_closed=closed),
            message(5, settings=settings),
            message(6, archived=archived),
        ),
    )

    entries = await take(client.entries(board_id="main"), 6)

    assert [entry.kind for entry in entries] == list(EntryKind)
    assert [entry.revision for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert [entry.position for entry in entries] == [f"{revision}-00" for revision in range(1, 7)]
    kinds = [RecordedAward, Reversal, VisibilityChange, PeriodClosed, SettingsChange, LedgerArchived]
    assert [type(entry.content) for entry in entries] == kinds
    first, hidden = cast(RecordedAward, entries[0].content), cast(VisibilityChange, entries[2].content)
    assert (first.award_id, first.total, first.recorded_at) == (AWARD_ID, 7, MOMENT)
    assert first.periods == ("day:2026-11-30",)
    assert (hidden.visibility, hidden.reason) == (Visibility.SHADOWED, "cheats")
    assert entries[5].content == LedgerArchived(
        archived_revision=2,
        archived_position="2-00",
        awards=1,
        actor="operator",
        recorded_at=MOMENT,
    )


async def test_a_request_says_what_the_arguments_say(server: ScriptedServer, client: ScoreClient) -> None:
    server.script("StreamEntries", play(award(5)))
    kinds = [EntryKind.AWARD, EntryKind.REVERSAL]

    await take(client.entries(board_id="main", after_position="4-00", kinds=kinds), 1)

    assert server.received[0].request == ledger.StreamEntriesRequest(
        board_id="main",
        after_position="4-00",
        kinds=[ledger.ENTRY_KIND_AWARD, ledger.ENTRY_KIND_REVERSAL],
        entries_per_message=250,
    )


@pytest.mark.parametrize("kinds", ["award", ["nothing"], 7])
async def test_kinds_that_are_none_are_rejected_here(client: ScoreClient, kinds: Any) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await take(client.entries(board_id="main", kinds=kinds), 1)

    assert set(caught.value.fields) == {"kinds"}


async def test_entries_that_share_a_message_come_one_by_one(
    server: ScriptedServer, client: ScoreClient
) -> None:
    server.script("StreamEntries", play(award(1, award(2), award(3)), award(4)))

    entries = await take(client.entries(board_id="main"), 4)

    assert [entry.revision for entry in entries] == [1, 2, 3, 4]


async def test_a_checkpoint_is_told_once_what_was_before_it_is_handled(
    server: ScriptedServer, client: ScoreClient
) -> None:
    server.script("StreamEntries", play(award(1, award(2)), checkpoint(9), award(10)))
    told = list[str]()

    entries = client.entries(board_id="main", on_checkpoint=told.append)
    async with asyncio.timeout(30), aclosing(entries):
        async for entry in entries:
            told.append(entry.position)
            if entry.revision == 10:
                break

    assert told == ["1-00", "2-00", "9-00", "10-00"]


BREAKS: list[Step | None] = [
    None,
    reject(StatusCode.UNAVAILABLE, "SHUTTING_DOWN", retry_after=0),
    reject(StatusCode.UNAVAILABLE, "RECORD_UNAVAILABLE", retry_after=0),
    reject(StatusCode.CANCELLED),
    reject(StatusCode.RESOURCE_EXHAUSTED, "WATCHER_EVICTED", retry_after=0.01),
    reject(StatusCode.INTERNAL, "INTERNAL"),
]


@pytest.mark.parametrize("how", BREAKS)
async def test_a_broken_stream_goes_on_after_the_last_entry(
    server: ScriptedServer, client: ScoreClient, how: Step | None
) -> None:
    server.script(
        "StreamEntries",
        play(award(1), award(2, award(3), award(4)), then=how),
        play(award(5), checkpoint(9), then=how),
        play(award(10)),
    )

    entries = await take(client.entries(board_id="main"), 6)

    assert [entry.revision for entry in entries] == [1, 2, 3, 4, 5, 10]
    assert positions(server) == ["", "4-00", "9-00"]


@pytest.mark.parametrize(
    "wrong",
    [
        award(2),
        award(1),
        award(4, award(4)),
        message(5, award=ledger.RecordedAward(award_id="none")),
        message(5, visibility=ledger.VisibilityChange()),
        b"\xff",
    ],
)
async def test_an_answer_that_cannot_be_is_asked_for_again(
    server: ScriptedServer, client: ScoreClient, wrong: Any
) -> None:
    server.script("StreamEntries", play(award(1), award(2), wrong), play(award(3)))

    entries = await take(client.entries(board_id="main"), 3)

    assert [entry.revision for entry in entries] == [1, 2, 3]
    assert positions(server) == ["", "2-00"]


async def test_a_kind_of_entry_not_known_yet_is_passed_over(
    server: ScriptedServer, client: ScoreClient
) -> None:
    cut = reject(StatusCode.UNAVAILABLE)
    server.script("StreamEntries", play(award(1), message(2), then=cut), play(award(3)))

    entries = await take(client.entries(board_id="main"), 2)

    assert [entry.revision for entry in entries] == [1, 3]
    assert positions(server) == ["", "2-00"]


@pytest.mark.parametrize(
    ("rejection", "error"),
    [
        (reject(StatusCode.FAILED_PRECONDITION, "POSITION_UNKNOWN"), PositionUnknownError),
        (reject(StatusCode.OUT_OF_RANGE, "HISTORY_ARCHIVED"), HistoryArchivedError),
        (reject(StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"), InvalidRequestError),
        (reject(StatusCode.PERMISSION_DENIED, "NOT_ALLOWED"), NotAllowedError),
        (reject(StatusCode.NOT_FOUND, "BOARD_NOT_FOUND"), BoardNotFoundError),
    ],
)
async def test_a_permanent_failure_ends_the_entries(
    server: ScriptedServer, client: ScoreClient, rejection: Step, error: type[Exception]
) -> None:
    server.script("StreamEntries", play(award(1), then=rejection))
    entries = client.entries(board_id="main")
    await take(entries, 1)

    with pytest.raises(error):
        await take(entries, 1)


async def test_a_stream_that_says_nothing_is_opened_again(
    server: ScriptedServer, credentials: ClientCredentials
) -> None:
    server.script("StreamEntries", play(award(1)), play(award(2)))
    async with ScoreClient(server.target, credentials=credentials, stall_timeout=0.1) as client:
        entries = await take(client.entries(board_id="main"), 2)

    assert [entry.revision for entry in entries] == [1, 2]


async def test_closing_the_client_ends_the_entries(
    server: ScriptedServer, credentials: ClientCredentials
) -> None:
    server.script("StreamEntries", play(award(1)))
    async with ScoreClient(server.target, credentials=credentials) as client:
        entries = client.entries(board_id="main")
        await take(entries, 1)
        waiting = asyncio.create_task(take(entries, 1))
        await asyncio.sleep(0)

    with pytest.raises(ClientClosedError):
        await waiting


async def test_real_entries_come_once_and_in_order_though_the_connection_breaks(
    score_service: ScoreService,
    credentials: ClientCredentials,
    start_proxy: Callable[[str], Awaitable[Proxy]],
) -> None:
    proxy = await start_proxy(str(score_service.running.grpc_address))
    direct = ScoreClient(score_service.target, credentials=credentials)
    broken = ScoreClient(f"dns:///localhost:{proxy.port}", credentials=credentials)
    seen = list[Entry]()
    async with direct, broken:

        async def give(count: int) -> None:
            for _ in range(count):
                await direct.award(
                    board_id="main",
                    user_id="ada",
                    points=1,
                    action_type="puzzle",
                    action_id="p",
                    award_id=uuid4(),
                )

        await give(3)
        async with aclosing(broken.entries(board_id="main")) as entries:
            for _ in range(5):
                seen += await take(entries, 3)
                proxy.reset()
                await give(3)

    assert [entry.revision for entry in seen] == list(range(1, 16))
    assert {cast(RecordedAward, entry.content).total for entry in seen} == set(range(1, 16))
