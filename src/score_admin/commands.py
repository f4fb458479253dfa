"""Commands of `score-admin`.

Exit codes: 0 done, 1 the service rejected it or could not be asked, 2 wrong usage.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import click
from uuid_utils.compat import uuid7

from score_admin import corrections, reads
from score_admin.connection import Connection, make_connection
from score_admin.output import describe
from score_client import (
    AwardArchivedError,
    AwardFilter,
    EntryKind,
    HistoryArchivedError,
    PeriodKind,
    ScoreClient,
    ScoreClientError,
    UnavailableError,
    Visibility,
)

_FAILED: Final = 1
_file = click.Path(path_type=Path, dir_okay=False)
_instant = click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"])


@click.group(context_settings={"auto_envvar_prefix": "SCORE_ADMIN", "show_default": True})
@click.version_option(package_name="laurel", prog_name="score-admin")
@click.option(
    "--target",
    default="dns:///localhost:50051",
    show_envvar=True,
    help="The score service, as gRPC names it.",
)
@click.option(
    "--certificates",
    type=click.Path(path_type=Path, file_okay=False),
    show_envvar=True,
    help="A folder with ca.crt, tls.crt and tls.key.",
)
@click.option("--ca", type=_file, show_envvar=True, help="Who is trusted, PEM.")
@click.option("--certificate", type=_file, show_envvar=True, help="The certificate of the operator, PEM.")
@click.option("--key", type=_file, show_envvar=True, help="Its private key, PEM.")
@click.option("--timeout", type=click.FloatRange(0.1, 3600), default=10.0, help="Seconds a call may take.")
@click.option(
    "--on-behalf-of",
    show_envvar=True,
    show_default=False,
    help="For whom, in the ledger [who is logged in here].",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line, for programs.")
@click.pass_context
def main(  # noqa: PLR0913 - each is an option
    context: click.Context,
    target: str,
    certificates: Path | None,
    ca: Path | None,
    certificate: Path | None,
    key: Path | None,
    timeout: float,
    on_behalf_of: str | None,
    *,
    as_json: bool,
) -> None:
    """Look at boards and correct them, at a score service whose policy allows it.

    Whatever is changed stands in the ledger with the identity of the certificate, for whom, and why.
    """
    context.obj = lambda: make_connection(
        target=target,
        certificates=certificates,
        files={"ca": ca, "certificate": certificate, "key": key},
        timeout=timeout,
        on_behalf_of=on_behalf_of,
        as_json=as_json,
    )


def _run(
    context: click.Context, work: Callable[[ScoreClient, Connection], Awaitable[None]], again: str = ""
) -> None:
    """Do something with a client.

    Args:
        context: of the command.
        work: what to do.
        again: what to say where the outcome is unknown.
    """
    connection: Connection = context.obj()

    async def call() -> None:
        async with connection.open() as client:
            await work(client, connection)

    try:
        asyncio.run(call())
    except ScoreClientError as error:
        click.echo(f"{error.reason}: {error.message}{_say_where(error)}", err=True)
        if again and isinstance(error, UnavailableError):
            click.echo(f"Whether it was done is unknown. To find out, {again}", err=True)
        sys.exit(_FAILED)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # The reader has seen enough.
        sys.stderr.close()
        sys.exit(_FAILED)


def _say_where(error: ScoreClientError) -> str:
    """Describe where archived entries are, or where the caller can continue."""
    match error:
        case AwardArchivedError(revision=int() as revision):
            return f" It is revision {describe(revision)}."
        case HistoryArchivedError(archived_position=position) if position:
            return f" The ledger can be read after {position}."
    return ""


_board = click.argument("board_id", metavar="BOARD")
_user = click.argument("user_id", metavar="USER")
_reason = click.option("--reason", required=True, help="Why, for those who look back: 1 to 500 characters.")
_dry_run = click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
_choice = partial(click.option, default="", show_default=False)
_period = _choice("--period", help="A period, such as week, day:previous or month:2026-11.")


@main.command()
@_board
@_user
@click.argument("points", type=int)
@click.option(
    "--reason", required=True, help="Why: letters, digits and . _ : @ - only, such as a ticket's number."
)
@click.option("--award-id", type=click.UUID, help="Names the award for ever [a new one].", show_default=False)
@_dry_run
@click.pass_context
def award(
    context: click.Context,
    board_id: str,
    user_id: str,
    points: int,
    reason: str,
    award_id: UUID | None,
    *,
    dry_run: bool,
) -> None:
    """Give POINTS to USER on BOARD.

    The ledger has it as an action of the type `manual`, named by for whom it was made, and why.
    """
    name = award_id or uuid7()
    wanted = corrections.ManualAward(board_id, user_id, points, reason, name)
    _run(
        context,
        lambda client, connection: corrections.give(client, connection, wanted, dry_run=dry_run),
        f"repeat the command with --award-id {name}",
    )


@main.command()
@_board
@click.argument("award_id", metavar="[AWARD]", type=click.UUID, required=False)
@_choice("--caller", help="All awards made by this SPIFFE id.")
@_choice("--action", "action_id", help="All awards for this action.")
@_choice("--action-type", help="All awards for actions of this type.")
@_choice("--user", "user_id", help="All awards of this user.")
@click.option(
    "--from",
    "recorded_from",
    type=_instant,
    metavar="INSTANT",
    help="Recorded from then on: 2026-11-30, or 2026-11-30T12:00:00+01:00. UTC without an offset.",
)
@click.option("--until", "recorded_until", type=_instant, metavar="INSTANT", help="Recorded before then.")
@_reason
@click.option(
    "--reversal-id", type=click.UUID, help="Names the reversal of one award for ever.", show_default=False
)
@click.option("--yes", is_flag=True, help="Do not ask before many awards are reversed.")
@_dry_run
@click.pass_context
def reverse(  # noqa: PLR0913, PLR0917 - each is an option
    context: click.Context,
    board_id: str,
    award_id: UUID | None,
    caller: str,
    action_id: str,
    action_type: str,
    user_id: str,
    recorded_from: datetime | None,
    recorded_until: datetime | None,
    reason: str,
    reversal_id: UUID | None,
    *,
    yes: bool,
    dry_run: bool,
) -> None:
    """Take AWARD back on BOARD, or all awards that the options select, which all must hold.

    Many awards are planned first: what would change is shown, and then asked for.
    """
    selected = AwardFilter(
        caller=caller,
        action_id=action_id,
        action_type=action_type,
        user_id=user_id,
        recorded_from=_in_utc(recorded_from),
        recorded_until=_in_utc(recorded_until),
    )
    if (award_id is None) == (selected == AwardFilter()):
        raise click.UsageError("name one award, or select awards by options")
    if award_id is None:
        _run(
            context,
            lambda client, connection: corrections.reverse_many(
                client,
                connection,
                corrections.Selection(board_id, selected, reason),
                dry_run=dry_run,
                yes=yes,
            ),
            "repeat the command: what was reversed is not reversed again",
        )
        return
    name = reversal_id or uuid4()
    wanted = corrections.OneReversal(board_id, award_id, name, reason)
    _run(
        context,
        lambda client, connection: corrections.reverse_one(client, connection, wanted, dry_run=dry_run),
        f"repeat the command with --reversal-id {name}",
    )


@main.command()
@_board
@_user
@_reason
@click.option("--shadow", is_flag=True, help="Let the user go on seeing the rank that would be.")
@_dry_run
@click.pass_context
def hide(
    context: click.Context, board_id: str, user_id: str, reason: str, *, shadow: bool, dry_run: bool
) -> None:
    """Hide USER on BOARD from everyone else. Points are collected as before."""
    visibility = Visibility.SHADOWED if shadow else Visibility.HIDDEN
    _set_visibility(context, corrections.Visible(board_id, user_id, visibility, reason), dry_run=dry_run)


@main.command()
@_board
@_user
@_reason
@_dry_run
@click.pass_context
def show(context: click.Context, board_id: str, user_id: str, reason: str, *, dry_run: bool) -> None:
    """Show USER on BOARD again."""
    wanted = corrections.Visible(board_id, user_id, Visibility.VISIBLE, reason)
    _set_visibility(context, wanted, dry_run=dry_run)


def _set_visibility(context: click.Context, wanted: corrections.Visible, *, dry_run: bool) -> None:
    _run(
        context,
        lambda client, connection: corrections.set_visibility(client, connection, wanted, dry_run=dry_run),
        "repeat the command: it changes nothing that is so already",
    )


@main.command()
@_board
@_user
@_period
@click.option("--around", type=click.IntRange(0, 100), default=0, help="How many neighbours on each side.")
@click.pass_context
def standing(context: click.Context, board_id: str, user_id: str, period: str, around: int) -> None:
    """Show the total and the rank of USER on BOARD."""
    _run(
        context,
        lambda client, connection: reads.show_standing(
            client, connection, board_id=board_id, user_id=user_id, period=period, around=around
        ),
    )


@main.command()
@_board
@click.argument("user_id", metavar="[USER]", default="")
@click.option("--limit", type=click.IntRange(1), default=50, help="How many awards.")
@click.pass_context
def history(context: click.Context, board_id: str, user_id: str, limit: int) -> None:
    """Show the awards on BOARD, or of USER on it, newest first, and what was taken back, by whom and why."""
    _run(
        context,
        lambda client, connection: reads.show_history(
            client, connection, board_id=board_id, user_id=user_id, limit=limit
        ),
    )


@main.command()
@_board
@_choice("--after", help="After this position, as another run printed it [from the start].")
@click.option(
    "--kind",
    "kinds",
    type=click.Choice([kind.value for kind in EntryKind]),
    multiple=True,
    help="Of this kind; may be repeated.",
)
@click.option("--follow", is_flag=True, help="Go on with new entries until Ctrl-C.")
@click.pass_context
def entries(
    context: click.Context, board_id: str, after: str, kinds: tuple[str, ...], *, follow: bool
) -> None:
    """Print the ledger of BOARD, a line for each entry, in order."""
    wanted = tuple(map(EntryKind, kinds or EntryKind))
    _run(
        context,
        lambda client, connection: reads.show_entries(
            client, connection, board_id=board_id, after=after, kinds=wanted, follow=follow
        ),
    )


@main.command()
@click.argument("board_id", metavar="[BOARD]", default="")
@click.pass_context
def boards(context: click.Context, board_id: str) -> None:
    """List the boards, or show the settings of BOARD."""
    _run(context, lambda client, connection: reads.show_boards(client, connection, board_id))


@main.command()
@_board
@click.argument("period", metavar="[PERIOD]", default="")
@click.option("--kind", type=click.Choice([kind.value for kind in PeriodKind]), help="Of this kind alone.")
@click.option("--winners", type=click.IntRange(0, 100), default=3, help="How many of the best.")
@click.option("--limit", type=click.IntRange(1), default=50, help="How many periods.")
@click.pass_context
def periods(
    context: click.Context, board_id: str, period: str, kind: str | None, winners: int, limit: int
) -> None:
    """List the periods of BOARD, the last to end first, or show PERIOD with its result."""
    if period:
        _run(
            context,
            lambda client, connection: reads.show_period(
                client, connection, board_id=board_id, period=period, winners=winners
            ),
        )
        return
    wanted = PeriodKind(kind) if kind else None
    _run(
        context,
        lambda client, connection: reads.show_periods(
            client, connection, board_id=board_id, kind=wanted, winners=winners, limit=limit
        ),
    )


def _in_utc(instant: datetime | None) -> datetime | None:
    return instant.replace(tzinfo=UTC) if instant is not None and instant.tzinfo is None else instant
