"""The command `score-service`: serve, or migrate the record's schema.

Exit codes: 0 done or stopped as asked, 1 failed, 2 wrong usage or settings.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import Final, TypeVar

import click
import psycopg
import structlog

from score_service.server import serve as run_until_signal
from score_service.settings import (
    LogSettings,
    MigrateSettings,
    ServeSettings,
    SetupError,
    load,
    reveal,
    variable,
)
from score_service.telemetry import configure_logging

_FAILED: Final = 1
_USAGE: Final = 2
_S = TypeVar("_S", bound=LogSettings)
_log = structlog.get_logger(__name__)


def _describe(kind: type[LogSettings]) -> str:
    """List the settings of a command, as its help shows them."""
    lines = ["\b", "Settings, from the environment:"]
    for name, field in kind.model_fields.items():
        default = "" if field.default is None else f" [{field.default}]"
        fallback = " (required)" if field.is_required() else default
        lines.append(f"  {variable(kind, name)}{fallback}\n      {field.description}")
    return "\n".join(lines)


@click.group()
@click.version_option(package_name="laurel", prog_name="score-service")
def main() -> None:
    """Write awards to the record, project them into ranks and stream what changes."""


@main.command(epilog=_describe(ServeSettings))
def serve() -> None:
    """Serve gRPC with mTLS until SIGTERM or SIGINT. The second signal stops at once."""
    _run(ServeSettings, lambda settings: asyncio.run(run_until_signal(settings)))


@main.command(epilog=_describe(MigrateSettings))
def migrate() -> None:
    """Bring the record's schema to the newest revision, as the owner role."""
    _run(MigrateSettings, _migrate)


def _migrate(settings: MigrateSettings) -> None:
    # A server does without these two, and starts sooner for it.
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from score_service.migrate import upgrade_schema  # noqa: PLC0415

    try:
        upgrade_schema(settings.migration_dsn, reveal(settings.migration_password))
    except (psycopg.Error, SQLAlchemyError) as error:
        # What these say of a connection names hosts and roles, never passwords.
        raise OSError(str(error).strip()) from error
    _log.info("schema is at the newest revision")


def _run(kind: type[_S], work: Callable[[_S], None]) -> None:
    try:
        settings = load(kind)
        configure_logging(settings.log_format, settings.log_level)
        work(settings)
    except SetupError as error:
        click.echo(str(error), err=True)
        sys.exit(_USAGE)
    except OSError as error:
        _log.error("failed", error=str(error))
        sys.exit(_FAILED)


if __name__ == "__main__":
    main()
