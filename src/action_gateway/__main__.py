"""The commands of the gateway. Each reads its settings from the environment, all faults at once.

What only one command needs is imported by that command, so that each starts soon.
"""

import asyncio
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import click
import psycopg
import structlog

from action_gateway.errors import GatewayError, UnavailableError
from action_gateway.request_context import add_request_fields
from action_gateway.settings import DatabaseSettings, LogSettings, OwnerSettings, ServeSettings
from service_runtime.commands import report_failures
from service_runtime.errors import SetupError
from service_runtime.lifecycle import exit_on_sigterm, postpone_gc
from service_runtime.settings import describe, load, reveal
from service_runtime.telemetry.tracing import exporting

_Parameters = ParamSpec("_Parameters")
_log = structlog.get_logger(__name__)


def _command(
    kind: type[LogSettings],
) -> Callable[[Callable[_Parameters, None]], Callable[_Parameters, None]]:
    """Make what turns the failure of a command that reads these settings into a message and an exit code."""
    report = report_failures(kind, add_request_fields, own_libraries=["score_client"])

    def decorate(work: Callable[_Parameters, None]) -> Callable[_Parameters, None]:
        @wraps(work)
        def run(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> None:
            try:
                work(*args, **kwargs)
            except GatewayError as error:
                if isinstance(error, UnavailableError) and isinstance(error.__cause__, psycopg.Error):
                    raise error.__cause__ from None
                raise click.ClickException(str(error)) from None

        return report(run)

    return decorate


@click.group()
@click.version_option(package_name="laurel")
def main() -> None:
    """Serve players: logins, actions, and the leaderboard over HTTP, WebSocket and event streams."""
    exit_on_sigterm()  # `serve` handles the signal in its own way.


@main.command(epilog=describe(ServeSettings))
@_command(ServeSettings)
def serve() -> None:
    """Serve until SIGTERM or SIGINT."""
    postpone_gc()
    import uvloop  # noqa: PLC0415

    from action_gateway.process import server  # noqa: PLC0415

    settings = load(ServeSettings)
    with exporting("action-gateway"), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve(settings))


@main.command(epilog=describe(OwnerSettings))
@_command(OwnerSettings)
def migrate() -> None:
    """Upgrade the gateway's schema to the newest revision, as the owner role."""
    from action_gateway.store.migrate import MIGRATION  # noqa: PLC0415

    settings = load(OwnerSettings)
    MIGRATION.upgrade(settings.migration_dsn, reveal(settings.migration_password_file))
    _log.info("schema_upgraded")


@main.command("load-actions", epilog=describe(OwnerSettings))
@click.argument("file", type=click.Path(path_type=Path))
@_command(OwnerSettings)
def load_actions(file: Path) -> None:
    """Offer the actions of a TOML FILE, and no others."""
    from action_gateway.actions.answer_review import review_answers  # noqa: PLC0415
    from action_gateway.actions.catalog import read_catalog, replace_actions  # noqa: PLC0415

    settings = load(OwnerSettings)
    actions = read_catalog(file)
    for action in actions:
        for place, doubt in review_answers(action.all_answers):
            _log.warning("answer_doubtful", action_id=action.action_id, answer=place, doubt=doubt.value)
        for place, doubt in review_answers(action.all_units):
            _log.warning("answer_doubtful", action_id=action.action_id, unit=place, doubt=doubt.value)
    replace_actions(settings.migration_dsn, reveal(settings.migration_password_file), actions)
    _log.info("actions_loaded", actions=len(actions))


@main.command("ticket-keys", epilog=describe(LogSettings))
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@_command(LogSettings)
def ticket_keys(files: tuple[Path, ...]) -> None:
    """Print the key set (JWKS) of an outside issuer, from PEM FILEs of its keys. Public halves are enough."""
    from action_gateway.issuers.key_set import make_key_set  # noqa: PLC0415

    click.echo(make_key_set(files))


@main.command("add-user", epilog=describe(DatabaseSettings))
@click.argument("name")
@click.option("--password-file", type=click.Path(path_type=Path), help="Take the password from a file.")
@_command(DatabaseSettings)
def add_user(name: str, password_file: Path | None) -> None:
    """Make an account for NAME. The password is asked for."""
    settings = load(DatabaseSettings)
    password = _read_password(password_file)
    faults = _find_faults(name, password)
    if faults:
        raise SetupError(faults)
    user_id = asyncio.run(_add_user(settings, name, password))
    click.echo(user_id)


async def _add_user(settings: DatabaseSettings, name: str, password: str) -> str:
    from action_gateway.accounts.freed_names import FreedNames  # noqa: PLC0415
    from action_gateway.accounts.passwords import Passwords  # noqa: PLC0415
    from action_gateway.accounts.sessions import add_user as make_user  # noqa: PLC0415
    from action_gateway.store.store import Store  # noqa: PLC0415

    with Passwords(workers=1, queue=0) as passwords:
        async with Store.open(settings.pool) as store:
            freed_names = FreedNames.of(settings, time.time)
            return (await make_user(store, passwords, freed_names, name, password)).user_id


@main.command(epilog=describe(OwnerSettings))
@click.argument("name")
@click.argument("role", type=click.Choice(["moderator"]))
@_command(OwnerSettings)
def grant(name: str, role: str) -> None:
    """Give the account of NAME a ROLE, as the owner role."""
    asyncio.run(_change_role(load(OwnerSettings), name, role, grants=True))


@main.command(epilog=describe(OwnerSettings))
@click.argument("name")
@click.argument("role", type=click.Choice(["moderator"]))
@_command(OwnerSettings)
def revoke(name: str, role: str) -> None:
    """Take a ROLE from the account of NAME, as the owner role. It counts at once."""
    asyncio.run(_change_role(load(OwnerSettings), name, role, grants=False))


async def _change_role(settings: OwnerSettings, name: str, role: str, *, grants: bool) -> None:
    from action_gateway.store.roles import Role  # noqa: PLC0415
    from action_gateway.store.store import Store  # noqa: PLC0415

    async with Store.open(settings.owner_pool) as store:
        change = store.roles.grant if grants else store.roles.revoke
        user_id = await change(name, Role(role))
    if user_id is None:
        raise click.ClickException(f"there is no account of the name {name}")
    click.echo(user_id)


@main.command("delete-user", epilog=describe(DatabaseSettings))
@click.argument("name")
@_command(DatabaseSettings)
def delete_user(name: str) -> None:
    """Delete the account of NAME, as the player could with the password."""
    asyncio.run(_delete_user(load(DatabaseSettings), name))


async def _delete_user(settings: DatabaseSettings, name: str) -> None:
    from action_gateway.accounts.accounts import DeletionRules, delete_account  # noqa: PLC0415
    from action_gateway.accounts.freed_names import FreedNames  # noqa: PLC0415
    from action_gateway.store.store import Store  # noqa: PLC0415

    async with Store.open(settings.pool) as store:
        account = await store.find_account(name)
        if account is None or not await delete_account(
            store, FreedNames.of(settings, time.time), account.user, DeletionRules.of(settings)
        ):
            raise click.ClickException(f"there is no account of the name {name}")
    click.echo(account.user.user_id)


def _read_password(file: Path | None) -> str:
    if file is None:
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return password
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise SetupError([f"{file}: is not a readable text file"]) from None


def _find_faults(name: str, password: str) -> list[str]:
    from pydantic import ValidationError  # noqa: PLC0415

    from action_gateway.routes.schemas import Registration  # noqa: PLC0415

    try:
        Registration(username=name, password=password)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        return [f"{fault['loc'][0]}: {fault['msg']}" for fault in faults]
    return []


if __name__ == "__main__":
    main()
