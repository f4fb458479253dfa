"""How a command of a program begins, and what it ends with where it fails."""

import sys
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Final, ParamSpec

import click
import psycopg

from service_runtime.errors import SetupError
from service_runtime.settings import LogSettings, load
from service_runtime.telemetry.logs import Processor, configure_logging

_FAULT: Final = 2
"""The exit code for a faulty set-up. 1 stands for a command that failed."""

_Parameters = ParamSpec("_Parameters")


def report_failures(
    kind: type[LogSettings],
    add_context: Processor,
    own_libraries: Iterable[str] = (),
    *,
    logs_to_stderr: bool = False,
) -> Callable[[Callable[_Parameters, None]], Callable[_Parameters, None]]:
    """Make what configures the log before a command, and turns what it fails with into a message and a code.

    Args:
        kind: the settings of the command, of which all faults are told at once.
        add_context: see `configure_logging`.
        own_libraries: see `configure_logging`.
        logs_to_stderr: for a command whose standard output is its result.
    """

    def decorate(work: Callable[_Parameters, None]) -> Callable[_Parameters, None]:
        @wraps(work)
        def run(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> None:
            try:
                settings = load(kind)
                configure_logging(
                    settings.log_format,
                    settings.log_level,
                    add_context,
                    sys.stderr if logs_to_stderr else sys.stdout,
                    own_libraries,
                )
                work(*args, **kwargs)
            except SetupError as error:
                click.echo("\n".join(error.faults), err=True)
                raise SystemExit(_FAULT) from None
            except psycopg.Error as error:
                raise click.ClickException(f"the database: {str(error).splitlines()[0]}") from None
            except OSError as error:
                raise click.ClickException(str(error)) from None

        return run

    return decorate
