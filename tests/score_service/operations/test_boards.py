"""The commands that verify and rebuild boards, as processes: what they say, and how they end."""

import asyncio
import os
import pty
import signal
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from redis.asyncio import Redis
from tests.fixtures.ledgers.correcting import Correcting
from tests.fixtures.ledgers.periods import (
    DAYS_AND_WEEKS,
    SETTINGS,
    LedgerClock,
    day,
    make_final,
    save_settings,
)
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.servers.postgres import Database, Login
from tests.fixtures.servers.stores import eventually, is_projected, make_award
from tests.fixtures.services.processes import Command

from score_service.domain.ledger.visibility import Visibility
from score_service.projection.projection import Projection
from score_service.reconcile.rebuild.rebuilder import Rebuilder
from score_service.record.boards import BoardStore
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore

UNAVAILABLE = "redis://127.0.0.1:1"


@pytest.fixture
def environment(database: Database, redis_login: Login, redis_prefix: str) -> dict[str, str]:
    """Return what the commands need to know of the stores."""
    return {
        "SCORE_SERVICE_DATABASE_DSN": database.logins["score_runtime"].url,
        "SCORE_SERVICE_DATABASE_PASSWORD_FILE": str(database.logins["score_runtime"].password_file),
        "SCORE_SERVICE_REDIS_URL": redis_login.url,
        "SCORE_SERVICE_REDIS_PASSWORD_FILE": str(redis_login.password_file),
        "SCORE_SERVICE_REDIS_PREFIX": redis_prefix,
    }


@pytest.fixture
async def boards(ledger: Ledger, rebuilder: Rebuilder) -> None:
    """Make two boards and their projections."""
    await ledger.record_awards("main", [make_award(f"user{i}", 10) for i in range(1000)])
    await ledger.record_awards("main", [make_award("user1", 5), make_award("user2", 5)])
    await ledger.record_awards("other", [make_award("ada", 7, board_id="other")])
    for board_id in ("main", "other"):
        await rebuilder.rebuild(board_id)


def plant(database: Database, statement: str) -> None:
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute(statement)


async def test_boards_as_they_must_be_are_reported_in_a_line_each(
    boards: None, command: Command, environment: dict[str, str], ledger: Ledger
) -> None:
    main, other = await ledger.read_head("main"), await ledger.read_head("other")

    ended = command.run("verify", env=environment)

    projection = "projection as the record, 0 differ"
    assert ended.stdout == (
        f"main: 1,002 entries (1,002 awards) in 2 commits up to {main}, chain holds;"
        f" 1,000 standings as the ledger says; {projection}\n"
        f"other: 1 entry (1 award) in 1 commit up to {other}, chain holds; 1 standing as the ledger says;"
        f" {projection}\n"
        "2 boards, all well\n"
    )
    assert ended.stderr == ""
    assert ended.returncode == 0


async def test_entries_of_a_board_are_counted_by_kind(
    command: Command,
    environment: dict[str, str],
    ledger: Ledger,
    board_store: BoardStore,
    correcting: Correcting,
    periods: PeriodStore,
    ledger_clock: LedgerClock,
) -> None:
    for keep in (1, 2):
        await save_settings(board_store, settings=replace(SETTINGS, keep=keep))
    await ledger.record_awards("main", [make_award()], replace(DAYS_AND_WEEKS, settings_revision=2))
    for visibility in (Visibility.HIDDEN, Visibility.VISIBLE):
        await correcting.show("ada", visibility)
    ledger_clock.set(day().final_at)
    await make_final(periods, day().period_id)

    ended = command.run("verify", "--record-only", env=environment)

    entries = "6 entries (1 award, 1 closed period, 2 settings changes, 2 visibility changes)"
    assert ended.stdout.startswith(f"main: {entries} in 6 commits up to {await ledger.read_head('main')}, ")


async def test_ledger_is_read_from_its_checkpoint_on_and_a_board_that_is_well_gets_a_new_one(
    boards: None,
    command: Command,
    environment: dict[str, str],
    ledger: Ledger,
    database: Database,
    tmp_path: Path,
) -> None:
    words = ["verify", "main", "--record-only", "--checkpoints", str(tmp_path)]
    first = await ledger.read_head("main")
    assert "checkpoint" not in command.run(*words, env=environment).stdout

    await ledger.record_awards("main", [make_award("user3", 5)])
    second = await ledger.read_head("main")
    assert command.run(*words, env=environment).stdout == (
        f"main: 1,003 entries (1,003 awards) in 3 commits up to {second}, chain holds;"
        f" 1,000 standings as the ledger says; read from the checkpoint at {first} on\n"
    )

    await ledger.record_awards("main", [make_award("user4", 5)])
    plant(database, "UPDATE score.award SET caller = 'x' WHERE board_id = 'main' AND revision = 1004")
    for _ in range(2):
        ended = command.run(*words, env=environment)
        assert f"1 fault in the record; read from the checkpoint at {second} on" in ended.stdout
        assert ended.returncode == 1


async def test_checkpoint_that_is_none_is_named_and_the_other_boards_are_verified(
    boards: None, command: Command, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "main.checkpoint").write_text("{}")

    ended = command.run("verify", "--record-only", "--checkpoints", str(tmp_path), env=environment)

    lines = ended.stdout.splitlines()
    assert lines[0] == f"main: given up, {tmp_path}/main.checkpoint is no whole checkpoint"
    assert "chain holds" in lines[1]
    assert (lines[2], ended.returncode) == ("2 boards, 1 of them not well", 1)


async def test_named_board_alone_is_verified(
    boards: None, command: Command, environment: dict[str, str]
) -> None:
    ended = command.run("verify", "other", env=environment)

    assert [line.split(":")[0] for line in ended.stdout.splitlines()] == ["other"]
    assert ended.returncode == 0


async def test_faults_of_both_stores_are_named_and_end_with_1(
    boards: None,
    command: Command,
    environment: dict[str, str],
    database: Database,
    projection: Projection,
    redis_url: str,
    redis_prefix: str,
) -> None:
    plant(database, "UPDATE score.award SET caller = 'x' WHERE board_id = 'main' AND revision = 7")
    plant(database, "DELETE FROM score.standing WHERE user_id > 'user5' AND board_id = 'main'")
    header = await projection.read_header("other")
    assert header
    async with Redis.from_url(redis_url) as redis:
        await redis.hset(f"{redis_prefix}{{other}}:{header.generation}:all_time:totals", "ada", "8:1")

    ended = command.run("verify", env=environment)

    lines = ended.stdout.splitlines()
    assert "; 446 standings; 555 faults in the record; 1 fault in the projection" in lines[0]
    assert lines[1] == (
        "  revision 1,000: the commit's digest is not that of its rows and of the commits before it"
    )
    assert lines[2].endswith("the ledger has awards, and there is no standing")
    assert lines[21] == "  and 535 more"
    assert lines[22] == "  the projection has another number of members than the record"
    assert lines[23].endswith("chain holds; 1 standing as the ledger says; 1 fault in the projection")
    assert lines[24:] == [
        "  user ada: the projection differs from the record",
        "2 boards, 2 of them not well",
    ]
    assert ended.returncode == 1


async def test_without_redis_the_record_is_checked_and_the_rest_is_not_well(
    boards: None, command: Command, environment: dict[str, str]
) -> None:
    ended = command.run("verify", "main", env={**environment, "SCORE_SERVICE_REDIS_URL": UNAVAILABLE})

    assert (
        "chain holds; 1,000 standings as the ledger says; projection not checked, Redis is unavailable"
        in (ended.stdout)
    )
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 1


async def test_record_alone_needs_no_redis(
    boards: None, command: Command, environment: dict[str, str]
) -> None:
    alone = {name: value for name, value in environment.items() if "REDIS" not in name}

    ended = command.run("verify", "--record-only", env=alone)

    assert "projection" not in ended.stdout
    assert ended.stdout.splitlines()[-1] == "2 boards, all well"
    assert ended.returncode == 0


@pytest.mark.parametrize("words", [["verify"], ["verify", "main"], ["rebuild", "--all"]])
def test_without_postgresql_nothing_is_well(
    command: Command, environment: dict[str, str], words: list[str]
) -> None:
    unavailable = {**environment, "SCORE_SERVICE_DATABASE_DSN": "postgresql://nobody@127.0.0.1:1/none"}

    ended = command.run(*words, env=unavailable)

    assert "PostgreSQL is unavailable" in ended.stdout
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 1


@pytest.mark.parametrize("name", ["verify", "rebuild"])
async def test_unknown_board_is_reported_and_keeps_no_other_from_its_turn(
    boards: None, command: Command, environment: dict[str, str], name: str
) -> None:
    ended = command.run(name, "nowhere", "other", env=environment)

    lines = ended.stdout.splitlines()
    assert lines[0] == "nowhere: given up, the record has no such board"
    assert lines[1].startswith("other: 1 ")
    assert lines[2] == "2 boards, 1 of them not well"
    assert ended.returncode == 1


def test_record_without_boards_is_well(command: Command, environment: dict[str, str]) -> None:
    for words in (["verify"], ["rebuild", "--all"]):
        ended = command.run(*words, env=environment)
        assert (ended.stdout, ended.returncode) == ("0 boards, all well\n", 0)


@pytest.mark.parametrize("arguments", [["main"], ["--all"]])
async def test_rebuilt_board_is_as_the_record_again(
    boards: None,
    command: Command,
    environment: dict[str, str],
    arguments: list[str],
    ledger: Ledger,
    projection: Projection,
) -> None:
    header = await projection.read_header("main")
    assert header
    await projection.drop_board("main", header)

    ended = command.run("rebuild", *arguments, env=environment)

    head = await ledger.read_head("main")
    assert ended.stdout.splitlines()[0] == f"main: 1,000 standings rebuilt at {head}"
    assert ended.returncode == 0
    assert await is_projected(ledger, projection)


async def test_rebuild_without_redis_ends_with_1(
    boards: None, command: Command, environment: dict[str, str]
) -> None:
    ended = command.run("rebuild", "main", env={**environment, "SCORE_SERVICE_REDIS_URL": UNAVAILABLE})

    assert ended.stdout == "main: given up, Redis is unavailable\n"
    assert ended.returncode == 1


@pytest.mark.parametrize(
    ("words", "labels"),
    [
        (["verify", "main"], ["main: ledger", "main: standings", "main: projection"]),
        (["rebuild", "main"], ["main: rebuild"]),
    ],
)
async def test_terminal_is_shown_the_progress(
    boards: None, command: Command, environment: dict[str, str], words: list[str], labels: list[str]
) -> None:
    terminal, error = pty.openpty()
    process = command.start(*words, env=environment, stderr=error)
    said, _ = process.communicate(timeout=60)
    os.close(error)
    shown = os.read(terminal, 1_000_000).decode()
    os.close(terminal)

    assert process.returncode == 0
    assert [label for label in labels if label in shown] == labels
    assert shown.count("100%") >= len(labels)
    assert len(said.splitlines()) == 1


async def test_interrupt_ends_in_order(
    command: Command,
    environment: dict[str, str],
    database: Database,
    start_proxy: Callable[[str], Awaitable[Proxy]],
) -> None:
    async def is_connected() -> bool:
        return proxy.connections > 0

    login = database.logins["score_runtime"].url
    address = login.split("@")[1].split("/")[0]
    proxy = await start_proxy(address)
    proxy.hold()
    held = {"SCORE_SERVICE_DATABASE_DSN": login.replace(address, f"127.0.0.1:{proxy.port}")}
    process = command.start("verify", env={**environment, **held})
    await eventually(is_connected)

    process.send_signal(signal.SIGINT)
    said, log = await asyncio.to_thread(process.communicate, timeout=60)

    assert process.returncode == 1
    assert said == ""
    assert log.splitlines()[-1] == "Aborted!"
    assert "Traceback" not in log
