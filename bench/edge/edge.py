"""The gateway: actions started and completed through HTTP, beside requests rejected for lack of a token."""

import secrets
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from bench.figures.row import Quantity, Row, at_least, at_most, median_ms, rate
from bench.load.http_connection import HttpConnection
from bench.load.load import Call, keep_in_flight
from bench.stack.stack import Stack
from bench.themes.theme import Measure, Theme

_PLAYERS = 16
_API = "/api/v1"
_PASSWORD = "correct horse battery"  # noqa: S105 - Of players that live as long as the bench.
_TICKETS_MAX = 50_000
_OK, _CREATED, _UNAUTHORIZED = 200, 201, 401


class Performed(NamedTuple):
    """An instant action that was performed."""

    ticket: str
    result: object


@dataclass(frozen=True, slots=True)
class Player:
    """A user with a connection."""

    connection: HttpConnection
    token: str

    @property
    def headers(self) -> Mapping[str, str]:
        """What says who it is."""
        return {"Authorization": f"Bearer {self.token}"}

    async def play(self) -> int:
        """Start an action and complete it."""
        started = await self._post("/actions/start", {"actionId": "bench"})
        token = started["actionToken"]
        await self._post("/actions/complete", {"actionToken": token, "proof": {"answer": "yes"}})
        return 1

    async def perform(self) -> Performed:
        """Perform an instant action."""
        performed = await self._post("/actions/perform", {"actionId": "instant"})
        return Performed(performed["token"], performed["result"])

    async def redeem(self, performed: Performed) -> None:
        """Redeem a ticket of any player."""
        headers = {"Authorization": f"Bearer {performed.ticket}"}
        await post(self.connection, "/score/update", {"data": performed.result}, headers, _OK)

    async def perform_and_redeem(self) -> int:
        """Perform an instant action and redeem its ticket."""
        await self.redeem(await self.perform())
        return 1

    async def ask_to_start(self) -> tuple[int, Any]:
        """Start an action; return the status, whichever it is, and the answer."""
        return await self.connection.post(f"{_API}/actions/start", {"actionId": "bench"}, self.headers)

    async def be_rejected(self) -> int:
        """Send the same two requests without saying who one is."""
        for path in ("/actions/start", "/actions/complete"):
            await post(self.connection, path, {"actionId": "bench"}, {}, _UNAUTHORIZED)
        return 1

    async def _post(self, path: str, body: object) -> Any:
        return await post(self.connection, path, body, self.headers, _OK)


async def post(
    connection: HttpConnection, path: str, body: object, headers: Mapping[str, str], expected: int
) -> Any:
    """Send JSON and return the answer's. Raises RuntimeError if it is another one than expected."""
    status, answer = await connection.post(_API + path, body, headers)
    if status != expected:
        raise RuntimeError(f"{path} was answered with {status}: {answer}")
    return answer


@asynccontextmanager
async def open_players(stack: Stack, count: int) -> AsyncIterator[list[Player]]:
    """Have a gateway, and players with accounts of their own on it."""
    address = stack.start_gateway()
    async with AsyncExitStack() as connections:
        yield [await _join(connections, address, f"player-{secrets.token_hex(4)}") for _ in range(count)]


@asynccontextmanager
async def _open(stack: Stack) -> AsyncIterator[Mapping[str, Measure]]:
    tickets = _Tickets()
    async with open_players(stack, _PLAYERS) as players:
        yield {
            "door": partial(keep_in_flight, _any_of(players, Player.be_rejected), _PLAYERS),
            "gateway": partial(keep_in_flight, _any_of(players, Player.play), _PLAYERS),
            "perform": partial(keep_in_flight, _any_of(players, tickets.collect), _PLAYERS),
            "redeem": partial(keep_in_flight, _any_of(players, tickets.redeem), _PLAYERS),
            "ticket": partial(keep_in_flight, _any_of(players, Player.perform_and_redeem), _PLAYERS),
            "gateway-idle": partial(keep_in_flight, players[0].play, 1),
        }


class _Tickets:
    """Tickets that one measure performs actions for and the next one redeems, the newest first.

    So what performing costs is no part of what redeeming costs, and no ticket gets old.
    """

    def __init__(self) -> None:
        self._performed = deque[Performed](maxlen=_TICKETS_MAX)

    async def collect(self, player: Player) -> int:
        """Perform an instant action and keep its ticket."""
        self._performed.append(await player.perform())
        return 1

    async def redeem(self, player: Player) -> int:
        """Redeem a ticket, if there is one left."""
        if not self._performed:
            return 0
        await player.redeem(self._performed.pop())
        return 1


def _any_of(players: Sequence[Player], do: Callable[[Player], Awaitable[int]]) -> Call:
    """Have a player do something who does nothing else."""
    idle = deque(players)

    async def call() -> int:
        player = idle.popleft()
        done = await do(player)
        idle.append(player)
        return done

    return call


async def _join(connections: AsyncExitStack, address: str, name: str) -> Player:
    connection = await HttpConnection.open(address)
    connections.push_async_callback(connection.close)
    credentials = {"username": name, "password": _PASSWORD}
    await post(connection, "/auth/register", credentials, {}, _CREATED)
    session = await post(connection, "/auth/login", credentials, {}, _OK)
    return Player(connection, session["accessToken"])


EDGE = Theme(
    "edge",
    (
        Row(
            "door",
            f"gateway: start and complete rejected for lack of a token, {_PLAYERS} players",
            "pairs/s",
            rate,
            targets=(at_most(400, Quantity.CPU),),
        ),
        Row(
            "gateway",
            f"gateway: start and complete, {_PLAYERS} players",
            "awards/s",
            rate,
            limit="door",
            targets=(
                at_least(5, Quantity.BASE),
                at_most(1_500, Quantity.CPU),
                at_most(250, Quantity.POSTGRES_CPU),
            ),
        ),
        Row("gateway-p50", "the same", "ms p50", median_ms, measure="gateway", limit="door"),
        Row(
            "gateway-idle",
            "gateway: start and complete, 1 player",
            "ms p50",
            median_ms,
            targets=(at_most(8),),
        ),
        Row("perform", f"gateway: an instant action, {_PLAYERS} players", "tickets/s", rate, limit="door"),
        Row(
            "redeem",
            f"gateway: the ticket of an instant action redeemed, {_PLAYERS} players",
            "awards/s",
            rate,
            limit="perform",
            targets=(at_most(700, Quantity.CPU),),
        ),
        Row(
            "ticket",
            f"gateway: an instant action and its ticket redeemed, {_PLAYERS} players",
            "awards/s",
            rate,
            limit="perform",
            targets=(at_most(1_200, Quantity.CPU),),
        ),
    ),
    _open,
)
