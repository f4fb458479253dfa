"""Whatever happens to a board, in whatever order: awards count once, and all else follows the ledger."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, example, given, settings
from tests.fixtures import postgres
from tests.fixtures.redis import delete_keys, restore_keys, save_keys
from tests.fixtures.stack import Stack, target_of
from tests.fixtures.stores import eventually
from tests.score_service.history.model import Model
from tests.score_service.history.operations import (
    HISTORIES,
    Ask,
    Call,
    Depart,
    History,
    Interrupted,
    Read,
    Rebuild,
    Restore,
    Return,
    RollBack,
    Save,
    Wipe,
)
from tests.score_service.history.process import Stores
from tests.score_service.history.record import RecordKeeper
from tests.score_service.history.world import World

from score_client import AwardResult, ScoreClient, UnavailableError
from score_service.boards import scoring
from score_service.domain.award import Award
from score_service.domain.changes import Changes
from score_service.domain.position import Position
from score_service.projection import scripts
from score_service.projection.lua import load_script
from score_service.projection.projection import Projection
from score_service.projection.redis_servers import ServersSettings
from score_service.reconcile import repairs
from score_service.reconcile.rebuilder import Rebuilder, _Replayed
from score_service.record import database as service_database
from score_service.record.database import Database
from score_service.record.ledger import Ledger, RecordedBatch
from score_service.record.sql import load_statement
from score_service.stream.hubs import Hubs
from service_runtime.redis.access import RedisAccess

_MORE = int(os.environ.get("HISTORIES", "0"))
"""How many histories to run, drawn anew each time; without it some, the same ones each time."""


@pytest.fixture
async def stores(
    record: Database,
    database: postgres.Database,
    redis_url: str,
    redis_access: RedisAccess,
    redis_prefix: str,
) -> AsyncIterator[Stores]:
    async with RecordKeeper.open(database.admin_dsn) as keeper:
        yield Stores(record, redis_url, ServersSettings(redis_access, 5, 32, 32), redis_prefix, keeper)


@pytest.fixture(autouse=True)
def near(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take boards that are few awards behind for far behind, so that both ways to catch up are gone."""
    monkeypatch.setattr(repairs, "_NEAR_MAX", 4)


async def live(stores: Stores, history: History) -> None:
    """Run a history, judging after each operation, and check that all is well in the end."""
    async with World.open(stores, str(uuid.uuid4()), has_rich=history.has_rich) as world:
        for operation in history.operations:
            await world.run(operation)
        await world.heal()


Fault: TypeAlias = Callable[[pytest.MonkeyPatch], None]


def replaced(text: str, old: str, new: str) -> str:
    if old not in text:
        raise ValueError(old)
    return text.replace(old, new)


def change_script(patch: pytest.MonkeyPatch, name: str, old: str, new: str) -> None:
    """Have a script run with another text, or all where it is what they share."""

    def load(script: str) -> str:
        text = load_script(script)
        return replaced(text, old, new) if name in {script, "board"} else text

    patch.setattr(scripts, "load_script", load)


def change_statement(patch: pytest.MonkeyPatch, name: str, old: str, new: str) -> None:
    """Have a statement run with another text."""

    def load(statement: str) -> str:
        text = load_statement(statement)
        return replaced(text, old, new) if statement == name else text

    patch.setattr(service_database, "load_statement", load)


def add_totals(patch: pytest.MonkeyPatch) -> None:
    old = "ranked[n + 1], ranked[n + 2] = totals[i]"
    former_total = "string.match(formers[i - first + 1] or '0', '^%d+')"
    change_script(patch, "board", old, f"{old} + {former_total}")


def jump_gaps(patch: pytest.MonkeyPatch) -> None:
    change_script(patch, "apply_changes", "header[2] ~= ARGV[3] or header[3] ~= ARGV[4]", "false")


def forget_marks(patch: pytest.MonkeyPatch) -> None:
    change_script(
        patch, "apply_changes", "header[2] ~= ARGV[3] or header[3] ~= ARGV[4]", "header[2] ~= ARGV[3]"
    )


def trust_headers(patch: pytest.MonkeyPatch) -> None:
    async def has_position(ledger: Ledger, board_id: str, position: Position) -> bool:
        return position.revision <= (await ledger.read_head(board_id)).revision

    patch.setattr(Ledger, "has_position", has_position)


def skip_a_revision(patch: pytest.MonkeyPatch) -> None:
    read_changes = Ledger.read_changes

    async def skipping(ledger: Ledger, board_id: str, after: Position, *rest: int) -> Changes | None:
        changes = await read_changes(ledger, board_id, after, *rest)
        if changes is None:
            return None
        kept = tuple(c for c in changes.changes if c.reached_revision != after.revision + 1)
        return replace(changes, changes=kept)

    patch.setattr(Ledger, "read_changes", skipping)


def rank_equals_by_name_in_redis(patch: pytest.MonkeyPatch) -> None:
    old = "string.format('%016.0f%s', 9007199254740991 - reached, user)"
    change_script(patch, "board", old, "'9007199254740990' .. user")


def rank_equals_by_name_in_the_record(patch: pytest.MonkeyPatch) -> None:
    change_statement(
        patch,
        "list_standings",
        "ORDER BY s.total DESC, s.reached_revision",
        "ORDER BY s.total DESC, s.user_id",
    )


def switch_without_replay(patch: pytest.MonkeyPatch) -> None:
    async def no_replay(*_arguments: object) -> _Replayed:
        return _Replayed()

    patch.setattr(Rebuilder, "_replay", no_replay)


def resume_without_what_was_missed(patch: pytest.MonkeyPatch) -> None:
    async def nothing(*_arguments: object) -> tuple[()]:
        return ()

    patch.setattr(Hubs, "_missed", nothing)


def answer_conflicts_as_replays(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(scoring, "is_replay", lambda award, recorded: award.request_id != recorded.request_id)


def give_each_try_an_id_of_its_own(patch: pytest.MonkeyPatch) -> None:
    record_awards = Ledger.record_awards

    async def renamed(ledger: Ledger, board_id: str, awards: Sequence[Award]) -> RecordedBatch:
        return await record_awards(ledger, board_id, [a._replace(award_id=str(uuid.uuid4())) for a in awards])

    patch.setattr(Ledger, "record_awards", renamed)


ADA, BOB, CYD, DAN, ADA_AGAIN = Ask(0), Ask(1), Ask(2), Ask(3), Ask(8)
ADA_AS_BOB = Ask(16)
"""As many points as Bob."""
DIES_BEFORE_APPLY = Interrupted(Call(0, (CYD,)), 1, (), "dies")
FAULTS: list[tuple[Fault, History, str]] = [
    (add_totals, History((Call(0, (ADA,)), Call(0, (ADA_AGAIN,)))), "total=5.* is shown"),
    (
        jump_gaps,
        History((Call(0, (ADA,)), Save(), Call(0, (BOB,)), RollBack(), Call(0, (CYD,)))),
        "rank=2.* is shown at 3.*rank=3",
    ),
    (
        forget_marks,
        History((Call(0, (ADA,)), Call(0, (BOB,)), Restore(1), DIES_BEFORE_APPLY, Call(1, (DAN,)))),
        "bob has no award at 3",
    ),
    (
        trust_headers,
        History((Call(0, (ADA,)), Call(0, (BOB,)), Restore(1), DIES_BEFORE_APPLY)),
        "not healed",
    ),
    (
        skip_a_revision,
        History((Call(0, (ADA,)), Save(), Call(0, (BOB, CYD)), RollBack())),
        "rank=2.* is shown at 3.*rank=3",
    ),
    (rank_equals_by_name_in_redis, History((Call(0, (ADA_AS_BOB, BOB)),)), "never had rank"),
    (
        rank_equals_by_name_in_the_record,
        History((Call(0, (BOB, ADA_AS_BOB)), Wipe(), Read(0, "ada"))),
        "wrong at 2|the top at 2",
    ),
    (
        switch_without_replay,
        History((Call(0, (ADA, BOB)), Interrupted(Rebuild(0), 5, (Call(1, (ADA_AGAIN,)),)))),
        "bob.*rank=1.* is shown at 3.*rank=2",
    ),
    (
        resume_without_what_was_missed,
        History((Call(0, (ADA,)), Depart(), Call(0, (BOB,)), Return(1))),
        "bob.* was not told",
    ),
    (
        answer_conflicts_as_replays,
        History((Call(0, (ADA,)), Call(0, (Ask(0, variant=1),)))),
        "a conflict was answered as a replay",
    ),
    (give_each_try_an_id_of_its_own, History((Call(0, (ADA,)),)), "nobody asked for"),
]
"""Ways to break the service, each with a short history that shows it, and what the model says then."""


def known(test: Callable[..., Any]) -> Callable[..., Any]:
    """Have a test run the histories above as well, on the service as it is."""
    for _, history, _ in FAULTS:
        test = example(history)(test)
    return test


@pytest.mark.timeout(300 + _MORE)
@settings(
    max_examples=_MORE or 60,
    derandomize=not _MORE,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(HISTORIES)
@known
async def test_every_history_ends_in_the_sum_of_its_ledger(stores: Stores, history: History) -> None:
    await live(stores, history)


@pytest.mark.parametrize(("fault", "history", "why"), FAULTS, ids=[fault.__name__ for fault, *_ in FAULTS])
async def test_model_catches_a_service_that_would(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, fault: Fault, history: History, why: str
) -> None:
    fault(monkeypatch)

    with pytest.raises(AssertionError, match=why):
        await live(stores, history)


async def ask_for(client: ScoreClient, award: Award) -> AwardResult:
    return await client.award(
        board_id=award.board_id,
        user_id=award.user_id,
        points=award.points,
        action_type=award.action_type,
        action_id=award.action_id,
        award_id=uuid.UUID(award.award_id),
        request_id=uuid.UUID(award.request_id),
        timeout=5,
    )


async def test_two_processes_end_in_the_sum_of_their_ledger_though_redis_steps_back_and_one_is_killed(
    stack: Stack, stores: Stores, projection: Projection
) -> None:
    services = [await stack.start_score_service() for _ in range(2)]
    model, told = Model("main"), list[tuple[Award, AwardResult]]()

    async def call(caller: int, clients: Sequence[ScoreClient]) -> None:
        for i in range(40):
            number = caller * 5 + i
            award = Ask(number - (number % 8 == 7), request=caller % 2).award("main")
            model.asked.add(award)
            with suppress(UnavailableError):  # Of the one that was killed: what became of it is unknown.
                told.append((award, await ask_for(clients[i % len(clients)], award)))

    async def have_told(count: int) -> None:
        async def is_reached() -> bool:
            return len(told) >= count

        await eventually(is_reached)

    async def happen(clients: list[ScoreClient]) -> None:
        await have_told(80)
        saved = await save_keys(stores.redis_url, stores.prefix)
        await have_told(160)
        await delete_keys(stores.redis_url, stores.prefix)
        await have_told(240)
        await restore_keys(stores.redis_url, stores.prefix, saved)
        await have_told(320)
        clients.pop()
        await asyncio.to_thread(services[1].kill)

    async with stack.client(target_of(services[0])) as one, stack.client(target_of(services[1])) as two:
        clients = [one, two]
        await asyncio.gather(happen(clients), *(call(caller, clients) for caller in range(12)))

    async def is_healed() -> bool:
        reading = await projection.get_standings("main", (), 100)
        return reading is not None and (reading.position, reading.top) == (
            model.head,
            model.folds[model.head],
        )

    model.take(await stores.record.read("main"))
    await eventually(is_healed)
    rows = {row.award_id: row for row in model.rows}
    commits = {str(commit.position): commit for commit in model.commits}
    for award, result in told:
        row = rows[award.award_id]
        assert (result.revision, result.total) == (row.revision, row.total)
        assert result.replayed == (award.request_id != row.request_id)
        assert row in commits[result.position].rows
