"""The reference tables: they are what their programs write, and what the contract and the commands say."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest
from click.testing import CliRunner
from docs.reference.settings_page import SERVICES

from action_gateway.__main__ import main as gateway_main
from score_relay.__main__ import main as relay_main
from score_service.commands import main as score_main
from service_runtime.settings import variable

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "docs/reference"
CONTRACT: Final = frozenset(
    {
        (422, "invalid_request"),
        (413, "body_too_large"),
        (401, "unauthenticated"),
        (401, "bad_credentials"),
        (409, "username_taken"),
        (401, "bad_refresh_token"),
        (404, "action_not_found"),
        (400, "bad_action_token"),
        (403, "action_token_foreign"),
        (409, "action_token_used"),
        (409, "action_already_completed"),
        (400, "action_token_expired"),
        (422, "too_fast"),
        (422, "wrong_answer"),
        (409, "action_token_spent"),
        (429, "rate_limited"),
        (503, "unavailable"),
    }
)
"""The problems that clients rely on."""
CLOSE_CODES: Final = frozenset({1008, 1012, 1013, 4401, 4403, 4408})


def read_rows(title: str) -> list[list[str]]:
    """Return the cells of a table in the page of errors."""
    page = (FOLDER / "errors.md").read_text(encoding="utf-8")
    section = page.partition(f"## {title}\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip("` ") for cell in row] for row in rows[2:]]


def list_commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Give all commands below a group by the words that call them."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from list_commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


@pytest.mark.parametrize("name", ["settings", "errors"])
def test_the_page_is_what_its_program_writes(name: str) -> None:
    command = [sys.executable, str(FOLDER / f"{name}_page.py")]
    written = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (FOLDER / f"{name}.md").read_text(encoding="utf-8") == written, "run `make docs`"


@pytest.mark.parametrize(
    ("service", "group"), [("score-service", score_main), ("action-gateway", gateway_main)]
)
def test_every_command_is_listed_with_the_settings_it_reads(service: str, group: click.Group) -> None:
    assert set(SERVICES[service]) == {name for name, _ in list_commands(group)}


@pytest.mark.parametrize(
    ("service", "name"), [(service, name) for service, commands in SERVICES.items() for name in commands]
)
def test_the_help_of_a_command_names_the_settings_that_are_listed_for_it(service: str, name: str) -> None:
    kind = SERVICES[service][name]
    listed = {variable(kind, field) for field in kind.model_fields}
    group = {"score-service": score_main, "action-gateway": gateway_main, "score-relay": relay_main}[service]
    shown = CliRunner().invoke(group, [*name.split(), "--help"]).stdout
    assert (
        set(re.findall(r"^ +((?:SCORE_SERVICE|ACTION_GATEWAY|SCORE_RELAY)_[A-Z_]+)", shown, re.MULTILINE))
        == listed
    )


def test_every_reason_of_the_contract_is_listed_with_the_status_it_names() -> None:
    proto = (ROOT / "proto/score_api/v1/error_reason.proto").read_text(encoding="utf-8")
    told = re.findall(r"// ([A-Z_]+): .*\n(?: *//.*\n)* *ERROR_REASON_([A-Z_]+) =", proto)
    assert sorted((row[0], row[1]) for row in read_rows("gRPC")) == sorted(told)


def test_every_problem_of_the_contract_is_listed_with_its_status() -> None:
    assert {(int(row[0]), row[1]) for row in read_rows("HTTP")} >= CONTRACT


def test_every_close_code_of_the_contract_is_listed() -> None:
    assert {int(row[0]) for row in read_rows("WebSocket close codes")} >= CLOSE_CODES
