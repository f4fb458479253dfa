"""The ranks in Redis: a pure function of the ledger up to the position in a board's header.

Invariants:
- A board moves from one position to a later one in one script, and only from where it stands; totals are
  set, never added to. So nothing is applied twice, half, or out of order.
- Everything a read answers holds at the one position it names.
- The keys of a board share a hash tag, so that a cluster keeps them together, and bear its generation.

It knows nothing of PostgreSQL. That the header's position is one of the record's is for `projector.py`
to see to.
"""

import asyncio
import json
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

import structlog
from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from score_service.award import MAX_TOTAL
from score_service.changes import Changes
from score_service.errors import ProjectionUnavailableError
from score_service.lua import load_script
from score_service.page_token import read_page_token, write_page_token
from score_service.position import Position
from score_service.standing import Reading, Source, Standing

_MEMBER_PREFIX: Final = 16
"""Digits before the user id in a sorted-set member, see `apply_changes.lua`."""
_KNOWN_GENERATIONS: Final = 10_000

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Header:
    """What a board's projection says of itself."""

    generation: str
    position: Position


@dataclass(frozen=True, slots=True)
class Applied:
    """The changes were made."""

    ranks: dict[str, int]
    """Of each user that changed, 1 for the best."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Nothing was done: the projection does not stand where the changes begin."""

    header: Header | None
    """None where there is no projection."""


@dataclass(frozen=True, slots=True)
class Hint:
    """What was just applied. It may get lost; the ledger has it all."""

    before: Position
    after: Position
    standings: tuple[Standing, ...]
    """Of the users that changed."""


@dataclass(frozen=True, slots=True)
class ProjectionSettings:
    """How to reach the projection."""

    url: str
    password: str | None = None
    prefix: str = "laurel:"
    timeout: float = 0.5
    """Seconds for one operation, connecting and a retry included."""
    connections_max: int = 32
    listeners_max: int = 256
    """Boards that are listened to at once, each on a connection of its own."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class Projection:
    """The store of the ranks."""

    def __init__(self, client: "Redis", listener: "Redis", settings: ProjectionSettings) -> None:
        """Take one client for operations, and one that a listener may keep a connection of."""
        self._client = client
        self._listener = listener
        self._listeners_left = settings.listeners_max
        self._prefix = settings.prefix
        self._timeout = settings.timeout
        self._generations: OrderedDict[str, str] = OrderedDict()
        self._apply_changes = client.register_script(load_script("apply_changes"))
        self._get_standings = client.register_script(load_script("get_standings"))
        self._list_standings = client.register_script(load_script("list_standings"))
        self._list_standings_around = client.register_script(load_script("list_standings_around"))
        self._drop_board = client.register_script(load_script("drop_board"))

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: ProjectionSettings) -> AsyncIterator[Self]:
        """Make the connection pool, whether or not Redis is there, and close it at the end."""
        how = {
            "password": settings.password,
            # Every operation has one deadline of its own, see `_deadline`. The client's timeouts would
            # each start anew on a retry, and before Python 3.12 the one for sending may lose a cancellation.
            "socket_timeout": None,
            "socket_connect_timeout": None,
            # Every script may run twice, so one more try hides a connection that a restart has closed.
            "retry": Retry(NoBackoff(), 1),
            "decode_responses": True,
        }
        operations = BlockingConnectionPool.from_url(
            settings.url, max_connections=settings.connections_max, timeout=settings.timeout, **how
        )
        listeners = ConnectionPool.from_url(settings.url, max_connections=settings.listeners_max, **how)
        async with Redis.from_pool(operations) as client, Redis.from_pool(listeners) as listener:
            yield cls(client, listener, settings)

    async def ping(self) -> None:
        """Ask whether Redis answers.

        Raises:
            ProjectionUnavailableError: it does not.
        """
        async with self._deadline():
            await self._client.ping()

    async def apply_changes(self, changes: Changes) -> Applied | Elsewhere:
        """Move a board's projection over changes of its ledger, if it stands where they begin.

        Raises:
            ProjectionUnavailableError: Redis is away. Whether the changes were applied is unknown.
        """
        arguments = [
            str(changes.before.revision),
            changes.before.mark,
            str(changes.after.revision),
            changes.after.mark,
        ]
        for change in changes.changes:
            arguments += change.user_id, str(change.total), str(change.reached_revision)
        board_id = changes.board_id
        generation = self._generations.get(board_id) or secrets.token_hex(8)
        keys = [*self._keys(board_id, generation), self.channel(board_id)]
        async with self._deadline():
            reply = await self._apply_changes(keys, [generation, *arguments])
        if reply[0] != "applied":
            return Elsewhere(self._remember(board_id, reply))
        self._know(board_id, generation)
        users = (change.user_id for change in changes.changes)
        return Applied({user: int(rank) for user, rank in zip(users, reply[1:], strict=True)})

    async def read_header(self, board_id: str) -> Header | None:
        """Tell where a board's projection stands; None where there is none.

        Raises:
            ProjectionUnavailableError: Redis is away.
        """
        return (await self.read_headers([board_id]))[0]

    async def read_headers(self, board_ids: Sequence[str]) -> list[Header | None]:
        """Tell where the projections of many boards stand, in the order asked.

        Raises:
            ProjectionUnavailableError: Redis is away.
        """
        async with self._deadline(), self._client.pipeline(transaction=False) as pipeline:
            for board_id in board_ids:
                pipeline.hmget(self._header_key(board_id), "generation", "revision", "mark")
            replies = await pipeline.execute()
        headers = []
        for board_id, (generation, revision, mark) in zip(board_ids, replies, strict=True):
            reply = ["missing"] if generation is None else ["", generation, revision, mark]
            headers.append(self._remember(board_id, reply))
        return headers

    async def get_standings(
        self, board_id: str, user_ids: Sequence[str] = (), top_n: int = 0
    ) -> Reading | None:
        """Read some users' standings and the top of a board; None where the board has no projection.

        Raises:
            ProjectionUnavailableError: Redis is away.
        """
        reply = await self._read(self._get_standings, board_id, [str(top_n), *user_ids])
        if reply is None:
            return None
        _, _, revision, mark, top, found = reply
        return Reading(
            Position(int(revision), mark),
            Source.CACHE,
            top=_run(top, 0),
            users=tuple(
                _standing(user_id, standing, rank)
                for user_id, standing, rank in zip(user_ids, found[::2], found[1::2], strict=True)
                if standing
            ),
        )

    async def list_standings(self, board_id: str, page_size: int, page_token: str) -> Reading | None:
        """Read a page of a board; None where the board has no projection.

        Raises:
            InvalidRequestError: the page token is none that was given here.
            ProjectionUnavailableError: Redis is away.
        """
        after = read_page_token(page_token)
        arguments = [str(page_size + 1)]
        if after is not None:
            arguments += str(after.total), _member(after.user_id, after.reached_revision)
        reply = await self._read(self._list_standings, board_id, arguments)
        if reply is None:
            return None
        _, _, revision, mark, first, page = reply
        standings = _run(page[: 2 * page_size], int(first))
        token = write_page_token(standings[-1]) if len(page) > 2 * page_size else ""
        return Reading(Position(int(revision), mark), Source.CACHE, top=standings, next_page_token=token)

    async def list_standings_around(self, board_id: str, user_id: str, radius: int) -> Reading | None:
        """Read a user's neighbours; None where the board has no projection.

        Raises:
            ProjectionUnavailableError: Redis is away.
        """
        reply = await self._read(self._list_standings_around, board_id, [user_id, str(radius)])
        if reply is None:
            return None
        _, _, revision, mark, first, page = reply
        return Reading(Position(int(revision), mark), Source.CACHE, top=_run(page, int(first)))

    async def drop_board(self, board_id: str, header: Header) -> None:
        """Remove a board's projection if it still says what it said.

        Raises:
            ProjectionUnavailableError: Redis is away.
        """
        keys = self._keys(board_id, header.generation)
        position = header.position
        async with self._deadline():
            await self._drop_board(keys, [header.generation, str(position.revision), position.mark])
        self._generations.pop(board_id, None)

    @asynccontextmanager
    async def listen(self, board_id: str) -> AsyncIterator[AsyncIterator[Hint]]:
        """Hear what is applied to a board from now on, until Redis goes away.

        Raises:
            ProjectionUnavailableError: Redis is away, or there are too many listeners; also out of the
                iterator.
        """
        if not self._listeners_left:
            raise ProjectionUnavailableError
        self._listeners_left -= 1
        try:
            async with self._listener.pubsub(ignore_subscribe_messages=True) as pubsub:
                async with self._deadline():
                    await pubsub.subscribe(self.channel(board_id))
                yield self._hints(pubsub)
        finally:
            self._listeners_left += 1

    @asynccontextmanager
    async def _deadline(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout):
                yield
        except (RedisError, OSError) as error:
            _log.warning("projection unavailable", kind=type(error).__name__, error=str(error))
            raise ProjectionUnavailableError from error

    async def _hints(self, pubsub: Any) -> AsyncIterator[Hint]:
        while True:
            async with self._deadline():
                message = await pubsub.get_message(timeout=self._timeout / 2)
            if message is not None and (hint := _parse_hint(message["data"])):
                yield hint

    async def _read(self, script: Any, board_id: str, arguments: Sequence[str]) -> list[Any] | None:
        """Run a read script in the board's generation, which may have changed since it was last seen."""
        generation = self._generations.get(board_id, "")
        for _ in range(3):
            async with self._deadline():
                reply: list[Any] = await script(
                    keys=self._keys(board_id, generation), args=[generation, *arguments]
                )
            if reply[0] == "read":
                return reply
            header = self._remember(board_id, reply)
            if header is None:
                return None
            generation = header.generation
        raise ProjectionUnavailableError

    def channel(self, board_id: str) -> str:
        """Name the channel on which a board's hints are published."""
        return f"{self._prefix}{{{board_id}}}:changes"

    def _header_key(self, board_id: str) -> str:
        return f"{self._prefix}{{{board_id}}}:header"

    def _keys(self, board_id: str, generation: str) -> list[str]:
        board = f"{self._prefix}{{{board_id}}}"
        period = f"{board}:{generation}:all_time"
        return [f"{board}:header", f"{period}:ranks", f"{period}:totals"]

    def _remember(self, board_id: str, reply: Sequence[str]) -> Header | None:
        """Read the header in a reply, and keep its generation for the next call."""
        if reply[0] == "missing":
            self._generations.pop(board_id, None)
            return None
        _, generation, revision, mark = reply[:4]
        self._know(board_id, generation)
        return Header(generation, Position(int(revision), mark))

    def _know(self, board_id: str, generation: str) -> None:
        self._generations[board_id] = generation
        if len(self._generations) > _KNOWN_GENERATIONS:
            self._generations.popitem(last=False)


def _run(flat: Sequence[str], first: int) -> tuple[Standing, ...]:
    """Read neighbours out of a flat list of member and score; `first` is the 0-based rank of the first."""
    return tuple(
        Standing(
            user_id=member[_MEMBER_PREFIX:],
            total=int(score),
            rank=first + offset + 1,
            reached_revision=MAX_TOTAL - int(member[:_MEMBER_PREFIX]),
        )
        for offset, (member, score) in enumerate(zip(flat[::2], flat[1::2], strict=True))
    )


def _member(user_id: str, reached_revision: int) -> str:
    return f"{MAX_TOTAL - reached_revision:0{_MEMBER_PREFIX}}{user_id}"


def _standing(user_id: str, standing: str, rank: str) -> Standing:
    total, reached = standing.split(":")
    return Standing(user_id, int(total), int(rank) + 1, int(reached))


def _parse_hint(data: str) -> Hint | None:
    """Read a hint; None for what is none. Anyone who may publish could have sent it, also a newer version."""
    try:
        hint = json.loads(data)
        (before, before_mark), (after, after_mark) = hint["before"], hint["after"]
        return Hint(
            Position(int(before), before_mark),
            Position(int(after), after_mark),
            tuple(
                Standing(user_id, int(total), int(rank), int(reached))
                for user_id, total, rank, reached in hint["standings"]
            ),
        )
    except (ValueError, TypeError, KeyError):
        _log.warning("hint not understood")
        return None
