"""Reads what Redis has of each board, each board in one script.

The names and formats of the keys are written down here a second time, on purpose.
"""

import time
from collections.abc import Iterable
from importlib.resources import files
from typing import Any, Final

from redis.asyncio import Redis

from faults.model.projection import Header, Projection, Standings

_TIMEOUT: Final = 10.0


async def read_projections(url: str, prefix: str, board_ids: Iterable[str]) -> list[Projection]:
    """Read boards out of Redis.

    Args:
        url: with the password, if there is one.
        prefix: what all keys of the score service begin with.
        board_ids: of the boards.

    Raises:
        redis.RedisError: Redis is unavailable.
    """
    async with Redis.from_url(url, decode_responses=True, socket_timeout=_TIMEOUT) as client:
        script = client.register_script(
            files("faults.evidence.lua").joinpath("read_board.lua").read_text("utf-8")
        )
        return [_make(board_id, await script([f"{prefix}{{{board_id}}}"])) for board_id in board_ids]


def _make(board_id: str, reply: list[list[Any]]) -> Projection:
    header, periods, strays = reply
    return Projection(
        board_id=board_id,
        read_at=time.monotonic(),
        header=Header(*header) if header else None,
        periods={period_id: _make_standings(*content) for period_id, *content in periods},
        strays=strays,
    )


def _make_standings(members: str, ranked: str, ranks: list[str], totals: list[str]) -> Standings:
    return Standings(
        members=members,
        ranked=ranked,
        ranks=list(zip(ranks[::2], ranks[1::2], strict=True)),
        totals=dict(zip(totals[::2], totals[1::2], strict=True)),
    )
