"""How commands begin and fail."""

from collections.abc import Mapping, MutableMapping
from typing import Any

import click
import psycopg
import pytest
from click.testing import CliRunner, Result

from service_runtime.commands import report_failures
from service_runtime.errors import SetupError
from service_runtime.settings import LogSettings


def run_with(failure: Exception | None) -> Result:
    """Run a command that fails with something, or with nothing."""

    def add_nothing(_logger: object, _level: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        return event

    @click.command()
    @click.argument("name")
    @report_failures(LogSettings, add_nothing)
    def greet(name: str) -> None:
        if failure is not None:
            raise failure
        click.echo(f"hello {name}")

    return CliRunner().invoke(greet, ["ada"])


def test_command_gets_its_arguments_and_ends_with_0() -> None:
    ended = run_with(None)

    assert (ended.exit_code, ended.stdout) == (0, "hello ada\n")


@pytest.mark.parametrize(
    ("failure", "code", "said"),
    [
        (SetupError(["A: is not set", "B: is not set"]), 2, "A: is not set\nB: is not set\n"),
        (FileNotFoundError(2, "No such file", "a.toml"), 1, "Error: [Errno 2] No such file: 'a.toml'\n"),
        (psycopg.OperationalError("rejected\nmore of it"), 1, "Error: the database: rejected\n"),
        (click.ClickException("no such player"), 1, "Error: no such player\n"),
    ],
)
def test_failure_is_a_message_and_an_exit_code(failure: Exception, code: int, said: str) -> None:
    ended = run_with(failure)

    assert (ended.exit_code, ended.stderr) == (code, said)
