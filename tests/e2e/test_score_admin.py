"""The operators' command on a real service."""

import asyncio
import json
import subprocess
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias
from uuid import uuid4

import pytest
from tests.fixtures.services.forking import ForkServers
from tests.fixtures.services.score_service import ScoreService

from local_stack.certificates import CertificateFiles

Run: TypeAlias = Callable[..., Awaitable[str]]


@pytest.fixture
def run(score_service: ScoreService, backend_certificate: CertificateFiles, fork_servers: ForkServers) -> Run:
    """Return what runs the command for `mo` in a process of its own, and gives what it prints."""
    files = backend_certificate
    options = [
        f"--target={score_service.target}",
        f"--ca={files.ca_file}",
        f"--certificate={files.certificate_file}",
        f"--key={files.key_file}",
        "--on-behalf-of=mo",
        "--timeout=60",
    ]

    def run_here(*arguments: str) -> str:
        words = ["score_admin", *options, *arguments]
        pipe = subprocess.PIPE
        with fork_servers.popen("score_admin", words, stdout=pipe, stderr=pipe, text=True) as process:
            printed, complained = process.communicate(timeout=120)
        assert (process.returncode, complained) == (0, "")
        return str(printed)

    async def run(*arguments: str) -> str:
        return await asyncio.to_thread(run_here, *arguments)

    return run


async def ask(run: Run, *arguments: str) -> list[dict[str, Any]]:
    """Run the command as a program does."""
    return [json.loads(line) for line in (await run("--json", *arguments)).splitlines()]


async def test_what_an_operator_does_stands_in_the_ledger_with_for_whom_and_why(run: Run) -> None:
    (ada,) = await ask(run, "award", "main", "ada", "30", "--reason=welcome")
    await run("award", "main", "bob", "20", "--reason=welcome")
    (before,) = await ask(run, "hide", "main", "ada", "--reason=cheats", "--dry-run")
    await run("hide", "main", "ada", "--reason=cheats")

    (hidden,) = await ask(run, "standing", "main", "ada")
    (best,) = await ask(run, "standing", "main", "bob")
    await run("show", "main", "ada", "--reason=a mistake")
    (shown,) = await ask(run, "standing", "main", "ada")
    (reversal,) = await ask(run, "reverse", "main", ada["award_id"], "--reason=the answer had leaked")
    (history,) = await ask(run, "history", "main", "ada")
    entries = await ask(run, "entries", "main")

    assert (before["rank"], before["hidden_before"]) == (1, False)
    assert (hidden["total"], hidden["rank"], hidden["hidden"]) == (30, None, True)
    assert (best["rank"], shown["rank"]) == (1, 1)
    assert (reversal["total"], reversal["points"]) == (0, 30)
    assert history["action_id"] == "mo:welcome"
    assert history["reversal"]["reason"] == "the answer had leaked"
    assert [entry["kind"] for entry in entries] == ["award", "award", "visibility", "visibility", "reversal"]
    assert [entry["revision"] for entry in entries] == [1, 2, 3, 4, 5]
    assert {entry["content"]["on_behalf_of"] for entry in entries[2:]} == {"mo"}
    assert entries[2]["content"]["actor"] == "spiffe://laurel.local/sample-backend"


async def test_entries_of_a_kind_are_printed_up_to_the_end(run: Run) -> None:
    await run("award", "main", "ada", "30", "--reason=x")
    await run("hide", "main", "ada", "--reason=cheats")
    await run("award", "main", "ada", "30", "--reason=y")

    (entry,) = await ask(run, "entries", "main", "--kind=visibility")
    lines = (await run("entries", "main", f"--after={entry['position']}")).splitlines()
    last = lines[-1].split()[0]

    assert [line.split()[1] for line in lines] == ["award"]
    assert (await run("entries", "main", f"--after={last}")) == ""


async def test_many_awards_are_reversed_by_a_plan_and_a_second_time_none(run: Run) -> None:
    for user in ("ada", "ada", "bob"):
        await run("award", "main", user, "10", "--reason=leaked", f"--award-id={uuid4()}")
    await run("award", "main", "bob", "5", "--reason=fair")
    selected = ("reverse", "main", "--action=mo:leaked", "--reason=leaked", "--yes")

    plan, done = await ask(run, *selected)
    (again,) = await ask(run, *selected)

    assert (plan["awards"], plan["points"], plan["users"]) == (3, 30, 2)
    assert {move["user_id"]: move["total_after"] for move in plan["moves"]} == {"ada": 0, "bob": 5}
    assert done == {"reversed": 3, "of": 3}
    assert again["awards"] == 0
    assert "bob" in (await run("standing", "main", "bob", "--around=1"))


async def test_boards_and_periods_are_shown(run: Run) -> None:
    await run("award", "main", "ada", "10", "--reason=x")

    assert "main" in (await run("boards"))
    assert "revision" in (await run("boards", "main"))
    assert (await run("periods", "main")).split() == ["period", "starts", "ends", "state", "entrants", "best"]
