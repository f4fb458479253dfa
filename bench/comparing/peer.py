"""A server of others that does a similar job, at an address given, beside ours by turns.

Nakama: each of 1,000 users adds points to one leaderboard, one a call, and reads its top 10, over plain
HTTP. It keeps no ledger, and cannot tell an award from another, so the same call twice counts twice. The
leaderboard has to be there, sorted descending and with the operator `incr`.
"""

import base64
import random
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import quote, urlsplit

from bench.figures.row import Row, rate
from bench.load.awards import user_id
from bench.load.boards import SMALL, ensure_board
from bench.load.http_connection import HttpConnection
from bench.load.load import Call, keep_in_flight
from bench.stack.stack import Stack
from bench.themes.calls import IN_FLIGHT, award_points
from bench.themes.reads import list_top
from bench.themes.theme import Measure, Theme

_READS_IN_FLIGHT: Final = 32
_OK: Final = 200
_CONNECT_SECONDS: Final = 5
_TOP: Final = 10


class PeerError(Exception):
    """The peer is named wrongly, or does not answer as it should."""


@dataclass(frozen=True, slots=True)
class Nakama:
    """Where one is, and what it is asked about."""

    address: str
    """`host:port`."""
    board: str
    key: str
    """Its server key, by which users log in."""

    @classmethod
    def at(cls, url: str, board: str, key: str) -> "Nakama":
        """Take its URL. Raises PeerError if that is not `http://host:port`."""
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or not parts.port or parts.path.strip("/"):
            raise PeerError(f"PEER_URL must be http://host:port, not {url!r}.")
        return cls(parts.netloc, board, key)

    @property
    def path(self) -> str:
        """Of the leaderboard."""
        return f"/v2/leaderboard/{quote(self.board, safe='')}"

    def require_reachable(self) -> None:
        """Raise PeerError if nobody listens at the address."""
        host, _, port = self.address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
        except OSError as error:
            raise PeerError(f"No peer is reachable at http://{self.address}: {error}.") from error

    async def log_in(self, connection: HttpConnection, user: str) -> str:
        """Make a user, unless it is there, and return its token."""
        basic = base64.b64encode(f"{self.key}:".encode()).decode()
        path = f"/v2/account/authenticate/custom?create=true&username={user}"
        answer = await connection.post(path, {"id": user}, {"Authorization": f"Basic {basic}"})
        return str(_require(path, answer)["token"])

    async def add(self, connection: HttpConnection, token: str, points: int) -> None:
        """Add points to the score of a user."""
        body = {"score": str(points), "operator": "INCREMENT"}
        _require(self.path, await connection.post(self.path, body, _bearer(token)))

    async def read_top(self, connection: HttpConnection, token: str) -> Sequence[Any]:
        """Read the first ten."""
        path = f"{self.path}?limit={_TOP}"
        records: Sequence[Any] = _require(path, await connection.get(path, _bearer(token)))["records"]
        return records


def make_peer_theme(name: str, url: str, board: str, key: str) -> Theme:
    """Make the rows of a peer and of ours beside it.

    Raises:
        PeerError: There is no such kind of peer, the URL is wrong, or nobody listens there.
    """
    if name != "nakama":
        raise PeerError(f"PEER={name!r} is not known; there is nakama.")
    nakama = Nakama.at(url, board, key)
    nakama.require_reachable()
    return Theme(
        "peer",
        (
            Row("peer-award", f"Nakama: one award a call, {IN_FLIGHT} in flight", "awards/s", rate),
            Row("own-award", f"AwardPoints, {IN_FLIGHT} in flight", "awards/s", rate, limit="peer-award"),
            Row(
                "peer-top", f"Nakama: top {_TOP} of {SMALL:,}, {_READS_IN_FLIGHT} in flight", "reads/s", rate
            ),
            Row(
                "own-top",
                f"top {_TOP} of {SMALL:,}, {_READS_IN_FLIGHT} in flight",
                "reads/s",
                rate,
                limit="peer-top",
            ),
        ),
        partial(_open, nakama),
    )


@asynccontextmanager
async def _open(nakama: Nakama, stack: Stack) -> AsyncIterator[Mapping[str, Measure]]:
    async with AsyncExitStack() as connections:
        opened = [await _connect(connections, nakama) for _ in range(IN_FLIGHT)]
        tokens = [await nakama.log_in(opened[0], user_id(number)) for number in range(SMALL)]
        for token in tokens:
            await nakama.add(opened[0], token, 1)
        channel = await connections.enter_async_context(stack.channel(stack.target))
        board = await ensure_board(stack, SMALL)
        peer = _Callers(nakama, opened, tokens)
        yield {
            "peer-award": partial(keep_in_flight, peer.call(peer.award), IN_FLIGHT),
            "own-award": partial(keep_in_flight, award_points(channel), IN_FLIGHT),
            "peer-top": partial(keep_in_flight, peer.call(peer.read), _READS_IN_FLIGHT),
            "own-top": partial(keep_in_flight, list_top(channel, board), _READS_IN_FLIGHT),
        }


@dataclass(slots=True)
class _Callers:
    """Connections to a peer, each of which does one thing at a time, as any of its users."""

    nakama: Nakama
    connections: Sequence[HttpConnection]
    tokens: Sequence[str]

    async def award(self, connection: HttpConnection, token: str) -> None:
        await self.nakama.add(connection, token, random.randint(1, 20))

    async def read(self, connection: HttpConnection, token: str) -> None:
        if len(await self.nakama.read_top(connection, token)) != _TOP:
            raise PeerError("The peer does not show its top 10.")

    def call(self, do: Callable[[HttpConnection, str], Any]) -> Call:
        idle = deque(self.connections)

        async def call() -> int:
            connection = idle.popleft()
            await do(connection, random.choice(self.tokens))
            idle.append(connection)
            return 1

        return call


async def _connect(connections: AsyncExitStack, nakama: Nakama) -> HttpConnection:
    connection = await HttpConnection.open(nakama.address)
    connections.push_async_callback(connection.close)
    return connection


def _bearer(token: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _require(path: str, answer: tuple[int, Any]) -> Any:
    status, body = answer
    if status != _OK:
        raise PeerError(f"The peer answered {path} with {status}: {body}")
    return body
