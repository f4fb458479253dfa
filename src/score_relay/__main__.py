"""The commands of the relay. Each reads its settings from the environment, all faults at once.

What only one command needs is imported by that command, so that each starts soon.
"""

import asyncio
from functools import partial

import click
import structlog

from score_relay.metrics import add_span_fields
from score_relay.settings import MigrateSettings, ServeSettings
from service_runtime.commands import report_failures
from service_runtime.lifecycle import exit_on_sigterm, postpone_gc
from service_runtime.settings import describe, load, reveal
from service_runtime.telemetry.tracing import exporting

_log = structlog.get_logger(__name__)
_command = partial(report_failures, add_context=add_span_fields, own_libraries=["score_client"])


@click.group()
@click.version_option(package_name="laurel")
def main() -> None:
    """Send the entries of boards to webhooks, as CloudEvents that are signed."""
    exit_on_sigterm()  # `serve` handles the signal in its own way.


@main.command(epilog=describe(ServeSettings))
@_command(ServeSettings)
def serve() -> None:
    """Deliver until SIGTERM or SIGINT. The second signal stops at once."""
    postpone_gc()
    import uvloop  # noqa: PLC0415

    from score_relay.process import server  # noqa: PLC0415

    settings = load(ServeSettings)
    with exporting("score-relay"), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve(settings))


@main.command(epilog=describe(MigrateSettings))
@_command(MigrateSettings)
def migrate() -> None:
    """Upgrade the relay's schema to the newest revision, as the owner role."""
    from score_relay.store.migrate import MIGRATION  # noqa: PLC0415

    settings = load(MigrateSettings)
    MIGRATION.upgrade(settings.migration_dsn, reveal(settings.migration_password_file))
    _log.info("schema_upgraded")


if __name__ == "__main__":
    main()
