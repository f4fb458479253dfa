"""What only reads: standings, history, entries, boards and periods."""

import math
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import aclosing
from dataclasses import fields
from typing import TYPE_CHECKING

import click

from score_admin.connection import Connection
from score_admin.output import describe, print_fields, print_json, print_table
from score_client import (
    BoardView,
    Entry,
    EntryKind,
    Period,
    PeriodKind,
    PeriodResult,
    RecordedAward,
    ScoreClient,
    Season,
    Standing,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_PAGE = 1000
_EMPTY = (None, "", ())


async def show_standing(
    client: ScoreClient, connection: Connection, *, board_id: str, user_id: str, period: str, around: int
) -> None:
    """Show where a user stands, and its neighbours."""
    if around:
        page = await client.list_standings_around(
            board_id=board_id, user_id=user_id, radius=around, period=period
        )
        _print_standings(connection, page.standings)
        return
    view = await client.get_standing(board_id=board_id, user_id=user_id, period=period)
    _print_standings(connection, [view.standing])


async def show_history(
    client: ScoreClient, connection: Connection, *, board_id: str, user_id: str, limit: int
) -> None:
    """Show awards, newest first."""
    awards, archived_revision = await _list_awards(client, board_id, user_id, limit)
    if archived_revision:
        click.echo(f"Older awards are archived, up to revision {describe(archived_revision)}.", err=True)
    if connection.as_json:
        for award in awards:
            print_json(award)
        return
    print_table(
        ["revision", "recorded", "user", "points", "total", "action", "award", "caller", "reversed"],
        [
            (
                award.revision,
                award.recorded_at,
                award.user_id,
                award.points,
                award.total,
                f"{award.action_type}/{award.action_id}",
                award.award_id,
                award.caller,
                _describe_reversal(award),
            )
            for award in awards
        ],
    )


async def show_entries(
    client: ScoreClient,
    connection: Connection,
    *,
    board_id: str,
    after: str,
    kinds: Collection[EntryKind],
    follow: bool,
) -> None:
    """Print entries as they come: those that there are, or also those that are made."""
    end = math.inf
    if not follow:
        # Entries of other kinds are read too, because only they may tell that the end is reached.
        board = await client.get_board(board_id=board_id)
        if after == board.position or not board.revision:
            return
        end = board.revision
    asked = kinds if follow else ()
    async with aclosing(client.entries(board_id=board_id, after_position=after, kinds=asked)) as entries:
        async for entry in entries:
            if entry.kind in kinds:
                _print_entry(connection, entry)
            if entry.revision >= end:
                return


async def show_boards(client: ScoreClient, connection: Connection, board_id: str) -> None:
    """List boards, or show one."""
    if board_id:
        board = await client.get_board(board_id=board_id)
        if connection.as_json:
            print_json(board)
        else:
            print_fields({**_describe_board(board), "position": board.position})
        return
    rows = [board async for board in _list_boards(client)]
    if connection.as_json:
        for board in rows:
            print_json(board)
        return
    described = [_describe_board(board) for board in rows]
    print_table(list(described[0]) if described else ["board"], [tuple(row.values()) for row in described])


async def show_periods(
    client: ScoreClient,
    connection: Connection,
    *,
    board_id: str,
    kind: PeriodKind | None,
    winners: int,
    limit: int,
) -> None:
    """List periods, the last to end first."""
    results, token = list[PeriodResult](), ""
    while len(results) < limit:
        page = await client.list_periods(
            board_id=board_id,
            kind=kind,
            winners=winners,
            page_size=min(_PAGE, limit - len(results)),
            page_token=token,
        )
        results += page.results
        token = page.next_page_token
        if not token:
            break
    if connection.as_json:
        for result in results:
            print_json(result)
        return
    print_table(
        ["period", "starts", "ends", "state", "entrants", "best"],
        [
            (
                result.period.period_id,
                result.period.starts_at,
                result.period.ends_at,
                result.period.state,
                result.period.entrants,
                tuple(f"{winner.user_id} {winner.total}" for winner in result.winners),
            )
            for result in results
        ],
    )


async def show_period(
    client: ScoreClient, connection: Connection, *, board_id: str, period: str, winners: int
) -> None:
    """Show a period with its result, and what was taken back after it."""
    result = await client.get_period(board_id=board_id, period=period, winners=winners)
    if connection.as_json:
        print_json(result)
        return
    print_fields(
        {
            "period": result.period.period_id,
            "starts": result.period.starts_at,
            "ends": result.period.ends_at,
            "closes": result.period.closes_at,
            "state": result.period.state,
            "entrants": result.period.entrants,
            "time zone": f"{result.time_zone} ({result.zone_data_version})",
            "digest": result.digest,
            "reversed after": result.reversed_after,
        }
    )
    if result.winners:
        _print_standings(connection, result.winners)
    if result.reversals_after:
        print_table(
            ["reversal", "recorded", "user", "points", "by", "for", "reason"],
            [
                (r.revision, r.recorded_at, r.user_id, r.points, r.actor, r.on_behalf_of, r.reason)
                for r in result.reversals_after
            ],
        )


async def _list_awards(
    client: ScoreClient, board_id: str, user_id: str, limit: int
) -> tuple[list[RecordedAward], int]:
    """List awards, and tell up to which revision older ones are archived, if the list goes as far as that."""
    awards, token = list[RecordedAward](), ""
    while len(awards) < limit:
        page = await client.list_awards(
            board_id=board_id, user_id=user_id, page_size=min(_PAGE, limit - len(awards)), page_token=token
        )
        awards += page.awards
        token = page.next_page_token
        if not token:
            return awards, page.archived_revision
    return awards, 0


async def _list_boards(client: ScoreClient) -> AsyncIterator[BoardView]:
    token = ""
    while True:
        page = await client.list_boards(page_size=_PAGE, page_token=token)
        for board in page.boards:
            yield board
        token = page.next_page_token
        if not token:
            return


def _print_standings(connection: Connection, standings: "tuple[Standing, ...] | list[Standing]") -> None:
    if connection.as_json:
        for standing in standings:
            print_json(standing)
        return
    print_table(
        ["rank", "user", "total", "reached", "hidden"],
        [(s.rank, s.user_id, s.total, s.reached_revision, s.hidden) for s in standings],
    )


def _print_entry(connection: Connection, entry: Entry) -> None:
    if connection.as_json:
        print_json(entry)
        return
    written = (
        f"{name}={describe(value)}" for name, value in _list_fields(entry.content) if value not in _EMPTY
    )
    click.echo(f"{entry.position}  {entry.kind}  {' '.join(written)}")


def _list_fields(content: "DataclassInstance") -> Iterator[tuple[str, object]]:
    """Yield the fields of an entry; those of the board or period in it stand among them."""
    for field in fields(content):
        match getattr(content, field.name):
            case BoardView() | Period() as inner:
                yield from _list_fields(inner)
            case (Season(), *_) as seasons:
                yield field.name, _name_seasons(seasons)
            case value:
                yield field.name, value


def _describe_reversal(award: RecordedAward) -> str:
    if award.reversal is None:
        return ""
    reversal = award.reversal
    by = f"{reversal.on_behalf_of} ({reversal.actor})" if reversal.on_behalf_of else reversal.actor
    return f"{reversal.revision} by {by}: {reversal.reason}"


def _name_seasons(seasons: tuple[Season, ...]) -> tuple[str, ...]:
    return tuple(season.season_id for season in seasons)


def _describe_board(board: BoardView) -> dict[str, object]:
    return {
        "board": board.board_id,
        "time zone": board.time_zone,
        "periods": board.periods,
        "seasons": _name_seasons(board.seasons),
        "grace": board.grace,
        "late": board.late,
        "keep": board.keep,
        "revision": board.revision,
    }
