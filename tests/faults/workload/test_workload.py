"""A whole workload against a whole stack, all parts as separate processes."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import psycopg
import pytest
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.stack import Stack, target_of

from action_gateway.actions.catalog import read_catalog, replace_actions
from faults.cluster.actions import ACTIONS_FILE
from faults.cluster.endpoints import Endpoints
from faults.load.load import Load
from faults.model.history import AwardCall, Closed, History, Message, Outcome, Read
from faults.players.gateway_client import UnexpectedAnswerError
from faults.workload.workload import Workload

_LOAD = Load(
    awards_per_second=100,
    reads_per_second=20,
    completes_per_second=20,
    boards=("main", "season-a"),
    users=20,
    players=4,
    watches=6,
    sockets=2,
    event_streams=2,
    stay_seconds=0.5,
)


@pytest.fixture(autouse=True)
def actions(stack: Stack, database: Database) -> None:
    replace_actions(database.gateway_owner_dsn, None, read_catalog(ACTIONS_FILE))


@asynccontextmanager
async def _working(endpoints: Endpoints, history: History) -> AsyncIterator[Workload]:
    async with Workload(endpoints, history, random.Random(1), _LOAD).running() as work:
        yield work


def _endpoints(stack: Stack, score_target: str, gateway: str) -> Endpoints:
    return Endpoints(
        score_target=score_target, backends=(stack.backend, stack.backend), gateway_url=f"http://{gateway}"
    )


def _calls(history: History) -> list[AwardCall]:
    return [event for event in history.events if isinstance(event, AwardCall)]


async def _until(history: History, enough: Callable[[], bool]) -> None:
    async def is_enough() -> bool:
        return enough()

    await eventually(is_enough)


def _is_varied(history: History) -> bool:
    calls = _calls(history)
    rejections = {call.reason for call in calls if call.outcome is Outcome.REJECTED}
    streams = {event.stream.split("-")[0] for event in history.events if isinstance(event, Message)}
    return (
        rejections >= {"AWARD_CONFLICT", "INVALID_FIELD", "wrong_answer", "action_token_foreign"}
        and streams == {"watch", "socket", "events"}
        and any(call.result and call.result.replayed for call in calls)
        and any(call.caller.startswith("player") and call.result for call in calls)
        and any(isinstance(event, Read) and event.min_revision for event in history.events)
        and any(isinstance(event, Closed) and event.reason == "left" for event in history.events)
    )


def _read_heads(database: Database) -> dict[str, str]:
    with psycopg.connect(database.score_owner_dsn) as connection:
        rows = connection.execute(
            "SELECT board_id, revision || '-' || encode(substr(digest, 1, 8), 'hex') FROM score.board"
        )
        return dict(rows.fetchall())


def _read_awards(database: Database) -> Mapping[tuple[str, str], tuple[str, int]]:
    with psycopg.connect(database.score_owner_dsn) as connection:
        rows = connection.execute("SELECT board_id, award_id::text, user_id, points FROM score.award")
        return {(board_id, award_id): (user_id, points) for board_id, award_id, user_id, points in rows}


def _assert_record_bears_out(history: History, database: Database) -> None:
    """Check that everything made is in the record as it was asked for, and nothing that nobody asked for."""
    record, asked = _read_awards(database), defaultdict(set)
    for call in _calls(history):
        payload = (call.asked.user_id, call.asked.points)
        asked[call.asked.board_id, call.asked.award_id].add(payload)
        if call.outcome is Outcome.MADE:
            assert record[call.asked.board_id, call.asked.award_id] == payload
            assert call.result is not None
            assert call.result.points == call.asked.points
    for name, payload in record.items():
        assert payload in asked[name]


async def test_undisturbed_workload_sees_all_it_asked_for(stack: Stack, database: Database) -> None:
    service, other = await asyncio.gather(stack.start_score_service(), stack.start_score_service())
    gateway = await stack.start_gateway(target_of(service))
    ports = [one.addresses["grpc"] for one in (service, other)]
    endpoints = _endpoints(stack, f"ipv4:{','.join(ports)}", gateway.addresses["http"])
    history = History()
    async with _working(replace(endpoints, server_name="localhost"), history) as work:
        await _until(history, lambda: _is_varied(history))
        await work.quiesce()
        assert await work.settle(_read_heads(database), 30) == []
    _assert_record_bears_out(history, database)
    by_backends = [call for call in _calls(history) if call.caller.startswith("backend")]
    unknown = {call.reason for call in by_backends if call.outcome is Outcome.UNKNOWN}
    assert unknown <= {"left", "DEADLINE_EXCEEDED"}


async def test_killed_service_leaves_no_call_without_an_outcome(
    stack: Stack, database: Database, free_port: Callable[[], int]
) -> None:
    listen = f"127.0.0.1:{free_port()}"
    service = await stack.start_score_service(listen=listen)
    gateway = await stack.start_gateway(target_of(service))
    history = History()
    async with _working(_endpoints(stack, target_of(service), gateway.addresses["http"]), history) as work:
        await _until(history, lambda: len(history.events) > 500)
        service.kill()
        await _until(history, lambda: any(call.reason == "UNAVAILABLE" for call in _calls(history)))
        await stack.start_score_service(listen=listen)
        seen = len(history.events)
        await _until(history, lambda: len(history.events) > seen + 500)
        await work.quiesce()
        assert await work.settle(_read_heads(database), 30) == []
    _assert_record_bears_out(history, database)


async def test_stream_that_stands_still_is_named(stack: Stack, database: Database) -> None:
    service = await stack.start_score_service()
    gateway = await stack.start_gateway(target_of(service))
    history = History()
    async with AsyncExitStack() as ended:
        endpoints = _endpoints(stack, target_of(service), gateway.addresses["http"])
        work = await ended.enter_async_context(_working(endpoints, history))
        await _until(history, lambda: len(history.events) > 300)
        await work.quiesce()
        gateway.kill()
        async with stack.client(target_of(service)) as client:
            top = await client.list_standings(board_id="main", page_size=1)
            await client.award(
                board_id="main",
                user_id=top.standings[0].user_id,
                points=1,
                action_type="match",
                action_id="match-1",
            )
        behind = await work.settle(_read_heads(database), 5)
        assert sorted(behind) == ["events-1", "events-2", "socket-1", "socket-2"]


async def test_answer_that_the_contract_does_not_have_ends_the_run(stack: Stack) -> None:
    service = await stack.start_score_service()
    gateway = await stack.start_gateway(target_of(service), registration_enabled=False)
    endpoints = _endpoints(stack, target_of(service), gateway.addresses["http"])
    with pytest.raises(ExceptionGroup) as caught:
        async with _working(endpoints, History()), asyncio.timeout(60):
            await asyncio.Event().wait()
    assert caught.group_contains(UnexpectedAnswerError)


async def test_failure_of_the_block_is_raised_as_it_is(stack: Stack) -> None:
    endpoints = _endpoints(stack, "dns:///localhost:1", "127.0.0.1:1")
    with pytest.raises(ZeroDivisionError):
        async with _working(endpoints, History()):
            raise ZeroDivisionError
