"""WebSockets: how many messages a core of the gateway delivers when a board changes that many follow."""

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from bench.edge.edge import open_players
from bench.figures.row import Row, Sample, at_least
from bench.load.awards import Awards, user_id
from bench.load.load import keep_pace
from bench.load.pipes import Piped
from bench.stack.stack import Stack
from bench.themes.theme import Measure, Theme
from score_client import ScoreClient

_BOARD = "main"
"""Which a gateway shows by default."""
_LISTENERS = (sys.executable, "-m", "bench.load.listeners")
_PATH = "/api/v1/leaderboard/ws"
_PLAYERS, _SOCKETS = 50, 1_000
_USERS = 10
"""As many as the leaderboard shows, so that each award changes it."""
_CHANGES_A_SECOND = 10
_LEAD = 1_000_000
"""Points that put them before all players whom other rows have left on the board."""


def per_core(sample: Sample) -> float:
    """Return messages by the seconds of CPU that the gateway took for them."""
    return sample.count / sample.cpu["gateway"]


@asynccontextmanager
async def _open(stack: Stack) -> AsyncIterator[Mapping[str, Measure]]:
    async with open_players(stack, _PLAYERS) as players, stack.client(stack.target) as client:
        for number in range(_USERS):
            await client.award(**Awards(_BOARD).fields() | {"user_id": user_id(number), "points": _LEAD})
        tokens = [player.token for player in players] * (_SOCKETS // _PLAYERS)
        address = stack.start_gateway()
        async with Piped.running(stack, *_LISTENERS, address, _PATH) as listeners:
            await listeners.ask(tokens)
            yield {"sockets": partial(_change, client, listeners)}


async def _change(client: ScoreClient, listeners: Piped, seconds: float) -> Sample:
    awards = Awards(_BOARD, users=_USERS)

    async def call() -> int:
        await client.award(**awards.fields(), timeout=30)
        return 1

    await listeners.ask()
    sample = await keep_pace(call, _CHANGES_A_SECOND, seconds)
    answer: Any = await listeners.ask()
    if answer["closed"]:
        raise RuntimeError(f"{answer['closed']} sockets were closed.")
    return replace(sample, count=answer["messages"])


SOCKETS = Theme(
    "sockets",
    (
        Row(
            "sockets",
            f"gateway: {_SOCKETS:,} WebSockets, {_CHANGES_A_SECOND} changes a second",
            "deliveries/s a core",
            per_core,
            targets=(at_least(40_000),),
        ),
    ),
    _open,
)
