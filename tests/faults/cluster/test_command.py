"""A command that is run once, or again and again."""

import asyncio
from pathlib import Path

import pytest
from tests.fixtures.servers.stores import eventually

from faults.cluster.command import Command


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "command.log"


async def test_command_that_ends_well_says_nothing_and_another_one_what_is_wrong(log: Path) -> None:
    assert await Command("help", ["--help"], {}, log).complete() == ""

    complaint = await Command("wrong", ["unknown"], {}, log).complete()

    assert complaint.startswith("wrong ended with 2: ")
    assert "No such command 'unknown'" in complaint


async def test_command_is_run_again_however_it_ends_until_it_is_stopped(log: Path) -> None:
    command, stopped, pids = Command("help", ["--help"], {}, log), asyncio.Event(), set[int]()

    async def has_run_thrice() -> bool:
        if command.is_running:
            pids.add(command.pid)
            if len(pids) == 1:
                await command.kill()
        return len(pids) >= 3

    running = asyncio.create_task(command.keep_running(lambda: 0.0, stopped))
    await eventually(has_run_thrice)
    stopped.set()
    await running
    await command.kill()
    assert not command.is_running
