"""Sockets: players who follow the gateway's board over WebSockets and event streams, and reconnect."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import httpx2 as httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from faults.load.observer import Observer
from faults.load.rows import make_row, rows_of_entries
from faults.model.history import Message, Row
from faults.players.account import Account
from faults.players.gateway_client import API, GatewayClient, NotNowError, UnexpectedAnswerError

_PAUSE = 0.5
_OPEN_SECONDS = 3.0
_PING_SECONDS = 2.0
_SILENCE_SECONDS = 20.0
"""A gateway that has nothing to tell sends a comment every 15 s."""
_UNAUTHENTICATED: Final = 4401


@dataclass(slots=True)
class Follower:
    """One user's stream of the board, which is opened again whenever it ends."""

    observer: Observer
    account: Account
    gateway: GatewayClient
    randomness: random.Random

    async def run(self) -> None:
        """Follow the board until cancelled."""
        while True:
            try:
                token = await self.account.token()
            except NotNowError as error:
                await self._rest(error.retry_after)
                continue
            self.observer.connection += 1
            reason = await self._follow(token)
            self.observer.close(time.monotonic(), reason)
            await self._rest()

    async def _follow(self, token: str) -> str:
        """Follow the board on one connection, and return why it ended."""
        raise NotImplementedError

    async def _rest(self, seconds: float = 0.0) -> None:
        await asyncio.sleep(seconds + self.randomness.random() * _PAUSE)

    def _take(self, whole: dict[str, Any], position: str | None = None) -> None:
        data, user_id = whole["data"], self.account.user_id
        top = data.get("leaderboard")
        scores: tuple[Row, ...] = ()
        if whole["event"] == "leaderboard:initial":
            scores = (make_row(str(user_id), data["me"]["score"], data["me"]["rank"]),)
        elif whole["event"] == "score:update":
            scores = (make_row(data["userId"], data["newScore"], data["newRank"]),)
        self.observer.take(
            Message(
                stream=self.observer.name,
                connection=self.observer.connection,
                board_id=self.observer.board_id,
                at=time.monotonic(),
                event=whole["event"],
                revision=whole["revision"],
                position=position,
                top=None if top is None else rows_of_entries(top),
                scores=scores,
                user_id=user_id,
            )
        )


@dataclass(slots=True)
class SocketFollower(Follower):
    """Follows over a WebSocket; half of the time it says who it is in a message, as a browser does."""

    async def _follow(self, token: str) -> str:
        says = self.randomness.random() < 0.5  # noqa: PLR2004 - a weight
        headers = {} if says else {"Authorization": f"Bearer {token}"}
        url = self.gateway.url.replace("http", "ws", 1) + API + "/leaderboard/ws"
        try:
            async with connect(
                url,
                additional_headers=headers,
                compression=None,
                proxy=None,
                open_timeout=_OPEN_SECONDS,
                ping_interval=_PING_SECONDS,
                ping_timeout=_PING_SECONDS,
                close_timeout=_PING_SECONDS,
            ) as socket:
                if says:
                    await socket.send(json.dumps({"type": "auth", "accessToken": token}))
                async for text in socket:
                    self._take(json.loads(text))
                return str(socket.close_code)
        except ConnectionClosed as error:
            code = error.rcvd.code if error.rcvd else None
            if code == _UNAUTHENTICATED:
                self.account.reject(token)
            return str(code or type(error).__name__)
        except InvalidStatus as error:
            return str(error.response.status_code)
        except (OSError, WebSocketException) as error:
            return type(error).__name__


@dataclass(slots=True)
class EventFollower(Follower):
    """Follows Server-Sent Events, and reconnects with the last `id` that it got."""

    _last_id: str | None = field(default=None, init=False)

    async def _follow(self, token: str) -> str:
        headers = {"Authorization": f"Bearer {token}"}
        if self._last_id is not None:
            headers["Last-Event-ID"] = self._last_id
        timeout = httpx.Timeout(_OPEN_SECONDS, read=_SILENCE_SECONDS)
        url = API + "/leaderboard/events"
        try:
            async with self.gateway.http.stream("GET", url, headers=headers, timeout=timeout) as response:
                if response.status_code != HTTPStatus.OK:
                    return self._rejected(response.status_code, token)
                async for event, last_id in read_events(response.aiter_lines()):
                    self._last_id = last_id or self._last_id
                    self._take(json.loads(event), last_id)
                return "ended"
        except httpx.TransportError as error:
            return type(error).__name__

    def _rejected(self, status: int, token: str) -> str:
        if status == HTTPStatus.UNAUTHORIZED:
            self.account.reject(token)
        elif status < HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.TOO_MANY_REQUESTS:
            raise UnexpectedAnswerError(f"{status} on an event stream")
        return str(status)


async def read_events(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, str | None]]:
    """Yield the data of each event, and its id if it has one. An event without its empty line is none."""
    data, last_id = "", None
    async for line in lines:
        name, _, value = line.partition(":")
        match name:
            case "data":
                data = value.removeprefix(" ")
            case "id":
                last_id = value.removeprefix(" ")
            case "" if not line:
                if data:
                    yield data, last_id
                data, last_id = "", None
