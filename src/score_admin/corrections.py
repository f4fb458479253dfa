"""What changes something: awards, reversals, visibility. Each shows what it would do, or what it did."""

import sys
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import click

from score_admin.connection import IDENTIFIER, Connection
from score_admin.output import print_fields, print_json, print_table
from score_client import (
    AwardFilter,
    ReversalPlan,
    ScoreClient,
    Standing,
    StandingNotFoundError,
    Visibility,
)

_ACTION_TYPE: Final = "manual"


@dataclass(frozen=True, slots=True)
class ManualAward:
    """Points that an operator gives."""

    board_id: str
    user_id: str
    points: int
    reason: str
    award_id: UUID

    def action_id(self, on_behalf_of: str) -> str:
        """Name the action by for whom it was made, and why.

        Raises:
            click.UsageError: the ledger takes no such name.
        """
        name = f"{on_behalf_of}:{self.reason}" if on_behalf_of else self.reason
        if not IDENTIFIER.fullmatch(name):
            raise click.UsageError(f"for whom and why make {name!r}, which is no id of the ledger")
        return name


@dataclass(frozen=True, slots=True)
class OneReversal:
    """An award that is taken back."""

    board_id: str
    award_id: UUID
    reversal_id: UUID
    reason: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Awards that are taken back together."""

    board_id: str
    awards: AwardFilter
    reason: str


@dataclass(frozen=True, slots=True)
class Visible:
    """Who is to see a user."""

    board_id: str
    user_id: str
    visibility: Visibility
    reason: str


async def give(client: ScoreClient, connection: Connection, wanted: ManualAward, *, dry_run: bool) -> None:
    """Make an award."""
    action_id = wanted.action_id(connection.on_behalf_of)
    if dry_run:
        standing = await _find_standing(client, wanted.board_id, wanted.user_id)
        before = standing.total if standing else 0
        _report(
            connection,
            {
                "dry_run": True,
                "user_id": wanted.user_id,
                "total_before": before,
                "total_after": before + wanted.points,
                "action_id": action_id,
            },
        )
        return
    result = await client.award(
        board_id=wanted.board_id,
        user_id=wanted.user_id,
        points=wanted.points,
        action_type=_ACTION_TYPE,
        action_id=action_id,
        award_id=wanted.award_id,
        request_id=wanted.award_id,  # The same when the command is repeated.
    )
    _report(
        connection,
        {
            "award_id": str(result.award_id),
            "revision": result.revision,
            "points": result.points,
            "total": result.total,
            "rank": result.rank,
            "reversed": result.reversed,
        },
    )


async def reverse_one(
    client: ScoreClient, connection: Connection, wanted: OneReversal, *, dry_run: bool
) -> None:
    """Take one award back."""
    if dry_run:
        award = await client.get_award(board_id=wanted.board_id, award_id=wanted.award_id)
        _report(
            connection,
            {
                "dry_run": True,
                "award_id": str(award.award_id),
                "revision": award.revision,
                "points": award.points,
                "reversed_before": award.reversed,
            },
        )
        return
    result = await client.reverse_award(
        board_id=wanted.board_id,
        award_id=wanted.award_id,
        reversal_id=wanted.reversal_id,
        reason=wanted.reason,
        on_behalf_of=connection.on_behalf_of,
    )
    reversal = result.reversal
    _report(
        connection,
        {
            "reversal_id": str(reversal.reversal_id),
            "award_id": str(reversal.award_id),
            "revision": reversal.revision,
            "user_id": reversal.user_id,
            "points": reversal.points,
            "total": reversal.total,
            "rank": result.rank,
            "final_periods": reversal.final_periods,
            "replayed": result.replayed,
        },
    )


async def reverse_many(
    client: ScoreClient, connection: Connection, wanted: Selection, *, dry_run: bool, yes: bool
) -> None:
    """Plan to take awards back, show the plan, and apply it where that is wanted."""
    plan = await client.plan_reversals(board_id=wanted.board_id, award_filter=wanted.awards)
    _show_plan(connection, plan)
    if dry_run or not plan.awards:
        return
    if not yes and not _confirm(connection, plan):
        raise click.Abort
    done = await client.apply_reversals(plan, reason=wanted.reason, on_behalf_of=connection.on_behalf_of)
    _report(connection, {"reversed": done, "of": plan.awards})


async def set_visibility(
    client: ScoreClient, connection: Connection, wanted: Visible, *, dry_run: bool
) -> None:
    """Set who may see a user."""
    if dry_run:
        view = await client.get_standing(board_id=wanted.board_id, user_id=wanted.user_id)
        _report(
            connection,
            {
                "dry_run": True,
                "user_id": wanted.user_id,
                "total": view.standing.total,
                "rank": view.standing.rank,
                "hidden_before": view.standing.hidden,
                "visibility": wanted.visibility,
            },
        )
        return
    result = await client.set_user_visibility(
        board_id=wanted.board_id,
        user_id=wanted.user_id,
        visibility=wanted.visibility,
        reason=wanted.reason,
        on_behalf_of=connection.on_behalf_of,
    )
    _report(
        connection,
        {
            "user_id": wanted.user_id,
            "visibility": result.visibility,
            "before": result.before,
            "revision": result.revision,
        },
    )


async def _find_standing(client: ScoreClient, board_id: str, user_id: str) -> Standing | None:
    try:
        return (await client.get_standing(board_id=board_id, user_id=user_id)).standing
    except StandingNotFoundError:
        return None


def _show_plan(connection: Connection, plan: ReversalPlan) -> None:
    if connection.as_json:
        print_json(plan)
        return
    print_fields({"awards": plan.awards, "points": plan.points, "users": plan.users})
    if plan.moves:
        print_table(
            ["user", "total", "then", "rank", "then"],
            [
                (move.user_id, move.total_before, move.total_after, move.rank_before, move.rank_after)
                for move in plan.moves
            ],
        )


def _confirm(connection: Connection, plan: ReversalPlan) -> bool:
    if connection.as_json or not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here: add --yes, or --dry-run for the plan alone")
    return click.confirm(f"Reverse {plan.awards:,} awards of {plan.users:,} users?")


def _report(connection: Connection, fields: dict[str, object]) -> None:
    if connection.as_json:
        print_json(fields)
    else:
        print_fields(fields)
