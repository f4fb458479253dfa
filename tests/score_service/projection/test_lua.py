"""The scripts touch no key that is not declared, as clusters and access lists want it."""

import asyncio
import re
from typing import Final

import pytest
from redis.asyncio import Redis
from redis.crc import key_slot
from tests.fixtures.ledgers.headcounts import heads
from tests.fixtures.servers.valkey_nodes import ValkeyCluster

from local_stack.servers.ports import HOST
from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.changes import Change, Changes, write_lines
from score_service.domain.ledger.position import Position
from score_service.domain.ledger.visibility import Visibility
from score_service.domain.standings.checkpoint import Checkpoint
from score_service.projection.generation import Source
from score_service.projection.keys import Keys
from score_service.projection.lua import load_script
from score_service.projection.projection import Projection, ProjectionSettings
from score_service.projection.scripts import _SCRIPTS

_CALL: Final = re.compile(r"redis\.p?call\(\s*'(?P<command>\w+)',\s*(?P<first>[^,)]+)")
_OF_KEYS_ALONE: Final = {"EXISTS", "RENAME", "UNLINK"}
"""Every argument of these is a key; of the others, the first is."""


@pytest.mark.parametrize("name", _SCRIPTS)
def test_every_command_of_a_script_names_a_declared_key(name: str) -> None:
    text = load_script(name)
    calls = list(_CALL.finditer(text))

    assert len(calls) == len(re.findall(r"redis\.p?call", text))
    for call in calls:
        assert call["first"].startswith("ARGV[7]" if call["command"] == "SPUBLISH" else "KEYS["), call[0]


async def use_every_script(projection: Projection) -> None:
    position = Position(2, "2" * 16)
    changes = (Change("ada", 5, 1), Change("bob", 9, 2))
    periods = dict.fromkeys(("day:2026-11-30", "week:2026-W49"), write_lines(changes))
    await projection.apply_changes(Changes("main", Position.start("main"), position, changes, periods))
    for period_id in (ALL_TIME, "day:2026-11-30"):
        await projection.get_standings("main", ["ada"], 2, period_id)
        await projection.list_standings("main", 1, "", period_id)
        await projection.list_standings_around("main", "ada", 1, period_id)
        await projection.compare_standings("main", 2, "ada 5 1\n", period_id)
    hidden = (Change("bob", 9, 2, 4, Visibility.SHADOWED), Change("ada", 9, 3))
    here = Position(4, "4" * 16)
    await projection.apply_changes(
        Changes("main", position, here, hidden, dict.fromkeys(periods, write_lines(hidden)))
    )
    await projection.list_standings_around("main", "bob", 1)
    awarded = (Change("bob", 10, 5),)
    position, later = here, Position(5, "5" * 16)
    await projection.apply_changes(
        Changes(
            "main", position, later, awarded, {"day:2026-11-30": write_lines(awarded)}, ("week:2026-W49",)
        )
    )
    header = await projection.read_header("main")
    generation = projection.make_generation("main", header)
    checkpoint = Checkpoint.begin(position)
    lines = "ada 5 1\nbob 9 2\n"
    loaded = {ALL_TIME: lines, "day:2026-11-30": lines, "week:2026-W49": lines}
    assert await generation.load(loaded, checkpoint, source=Source.NEW_PAGE)
    assert await generation.load({}, checkpoint, finished=["week:2026-W49"])
    assert await projection.is_being_made("main")
    adopted = await projection.adopt_generation("main", header)
    assert adopted
    await adopted.keep()
    assert (await adopted.switch(later, {ALL_TIME: heads(2), "day:2026-11-30": heads(2)})).name == "DONE"
    unused = projection.make_generation("main", header)
    await unused.load(loaded, checkpoint)
    await unused.discard()
    assert await projection.check() is None
    header = await projection.read_header("main")
    assert header is not None
    await projection.drop_board("main", header)


async def test_on_a_cluster_every_script_touches_declared_keys_of_one_slot_alone(
    valkey_cluster: ValkeyCluster, redis_prefix: str
) -> None:
    scripts, declared, touched = set[str](), list[str](), set[str]()
    owner = valkey_cluster.owner_of("main")
    settings = ProjectionSettings(valkey_cluster.access, prefix=redis_prefix, timeout=5)
    async with (
        Redis(host=HOST, port=owner.port, password=owner.password) as redis,
        redis.monitor() as monitor,
        Projection.open(settings) as projection,
        asyncio.timeout(20),
    ):
        await use_every_script(projection)
        await redis.echo("end")
        while (seen := await monitor.next_command())["command"] != "ECHO end":
            command, *words = seen["command"].split(" ")
            if command in {"EVALSHA", "EVALSHA_RO"}:
                scripts.add(words[0])
                declared = words[2 : 2 + int(words[1])]
                assert all(key.startswith(redis_prefix) for key in declared)
                assert len({key_slot(key.encode()) for key in declared}) == 1
            elif seen["client_type"] == "lua":
                keys = words if command in _OF_KEYS_ALONE else words[:1]
                if command == "SPUBLISH":
                    assert keys == [Keys(redis_prefix).channel("main")]
                else:
                    assert {*keys} <= {*declared}
                    touched.update(keys)

    assert len(scripts) == len(_SCRIPTS)
    names = {key.rpartition(":")[2].partition("{")[0] for key in touched}
    assert names == {"header", "ranks", "totals", "progress", "making", "check"}
