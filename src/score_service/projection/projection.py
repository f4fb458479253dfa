"""The ranks in Redis: a pure function of the ledger up to the position in a board's header.

Invariants:
- A board moves from one position to a later one in one script, and only from where it is; totals are
  set, never added to. So nothing is applied twice, half, or out of order.
- All periods of a board move with it. A period is there from its first points to where it is final.
- Everything a read answers holds at the one position it names, which the board had after it was asked for.
- Rebuilding and comparing whole boards has connections, deadlines and breakers of its own, so a slow step of
  theirs makes no board unavailable.

It knows nothing of PostgreSQL. That the header's position is one of the record's is for
`reconcile/headers.py` to check.
"""

import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

import structlog

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.changes import Changes
from score_service.domain.standings.hint import Hint, read_hint
from score_service.domain.standings.standing import Reading
from score_service.domain.tokens.page_token import read_page_token
from score_service.errors import ProjectionUnavailableError
from score_service.projection.generation import SECONDS_ALONE, SECONDS_TO_LIVE, Generation
from score_service.projection.keys import Keys
from score_service.projection.questions import (
    Question,
    ask_neighbours,
    ask_page,
    ask_standings,
    list_periods,
)
from score_service.projection.read_coalescer import ReadCoalescer
from score_service.projection.redis_servers import ServersSettings
from score_service.projection.replies import (
    Applied,
    Comparison,
    Header,
    PositionMismatch,
    Seen,
    read_answers,
    read_applied,
    read_comparison,
    read_header,
)
from score_service.projection.scripts import Cache, ScriptCall
from service_runtime.redis.access import RedisAccess
from service_runtime.redis.rejections import explain_rejection

BULK_TIMEOUT: Final = 10.0
"""Seconds for one operation of bulk work, which waits for a busy Redis where a caller would not."""
_SEEN_MAX: Final = 100_000
_CHECK_KEY: Final = "check"
_POLICY: Final = "noeviction"
_READS_MAX: Final = 3
"""How often a read is tried while the generation changes."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ProjectionSettings:
    """How to reach the projection."""

    redis: RedisAccess
    prefix: str = "laurel:"
    timeout: float = 0.5
    """Seconds for one operation, connecting and a retry included."""
    bulk_timeout: float = BULK_TIMEOUT
    """The same for a step of a rebuild, and for a comparison with the record."""
    connections_max: int = 32
    """To one server."""
    bulk_connections_max: int = 4
    """To one server, besides."""
    subscriptions_max: int = 256
    """Boards that are subscribed to at once, each on a connection of its own."""


class Projection:
    """The store of the ranks."""

    def __init__(self, cache: Cache, bulk: Cache, prefix: str) -> None:
        """Take what runs the scripts that callers wait for, and what runs those of bulk work."""
        self._cache = cache
        self._bulk = bulk
        self._keys = Keys(prefix)
        self._check_key = f"{prefix}{_CHECK_KEY}"
        self._seen: OrderedDict[str, Seen] = OrderedDict()
        """Of each board; kept also when a header is gone, to remove what else is left."""
        self._reads = ReadCoalescer[Question, Reading | None](self._answer)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: ProjectionSettings) -> AsyncIterator[Self]:
        """Make the connection pools, whether or not Redis is there, and close them at the end."""
        servers = ServersSettings(
            settings.redis, settings.timeout, settings.connections_max, settings.subscriptions_max
        )
        bulk_servers = ServersSettings(
            settings.redis, settings.bulk_timeout, settings.bulk_connections_max, subscriptions_max=0
        )
        async with Cache.open(servers) as cache, Cache.open(bulk_servers) as bulk:
            yield cls(cache, bulk, settings.prefix)

    async def check(self) -> str | None:
        """Return what keeps Redis from its work: what is wrong with it, or why it rejects writes; or None.

        Raises:
            ProjectionUnavailableError: Redis is unavailable.
        """
        try:
            wrong = await self._cache.read_policies() - {_POLICY}
            await self._cache.check(self._check_key)
        except ProjectionUnavailableError as error:
            if rejection := explain_rejection(error.__cause__):
                return rejection
            raise
        return f"evicts keys: maxmemory-policy is {min(wrong)}, not {_POLICY}" if wrong else None

    async def apply_changes(self, changes: Changes) -> Applied | PositionMismatch:
        """Move a board's projection over changes of its ledger, if it stands where they begin.

        Raises:
            ProjectionUnavailableError: Redis is unavailable. Whether the changes were applied is unknown.
        """
        for _ in range(_READS_MAX):
            outcome = await self._apply_changes(changes)
            # Where it would fit but for the generation, that has changed since it was last seen.
            if isinstance(outcome, Applied) or not (outcome.header and outcome.header.is_at(changes.before)):
                break
        return outcome

    async def _apply_changes(self, changes: Changes) -> Applied | PositionMismatch:
        board_id, before, after = changes.board_id, changes.before, changes.after
        seen = self._seen.get(board_id, Seen())
        generation = seen.generation or secrets.token_hex(8)
        changed = [period_id for period_id, lines in changes.periods.items() if lines]
        period_ids = (*changed, *changes.finished)
        arguments = [
            generation,
            " ".join(period_ids),
            *(str(before.revision), before.mark, str(after.revision), after.mark),
            self._keys.channel(board_id),
            *(changes.lines(period_id) for period_id in (ALL_TIME, *changed)),
        ]
        call = ScriptCall(self._keys.of_board(board_id, generation, period_ids), arguments)
        reply = await self._cache.run("apply_changes", call)
        if reply[0] != "applied":
            return PositionMismatch(self._remember(board_id, reply))
        there = dict.fromkeys((*seen.periods, *changed))
        self._note(board_id, Seen(generation, tuple(p for p in there if p not in changes.finished)))
        return read_applied(reply, changes)

    async def read_header(self, board_id: str) -> Header | None:
        """Return where a board's projection stands; None where there is none.

        Raises:
            ProjectionUnavailableError: Redis is unavailable.
        """
        headers = await self.read_headers([board_id])
        if board_id not in headers:
            raise ProjectionUnavailableError
        return headers[board_id]

    async def read_headers(self, board_ids: Sequence[str]) -> dict[str, Header | None]:
        """Return where the projections of many boards stand, without those whose server alone is unavailable.

        Raises:
            ProjectionUnavailableError: Redis is unavailable.
        """
        headers = dict[str, Header | None]()
        asked: Sequence[str] = board_ids
        for _ in range(_READS_MAX):
            calls = [self._call(board_id, self._periods_of(board_id)) for board_id in asked]
            found = await self._cache.run_each("get_header", calls)
            replies = {board_id: reply for board_id, reply in zip(asked, found, strict=True) if reply}
            headers |= {board_id: self._remember(board_id, reply) for board_id, reply in replies.items()}
            asked = [board_id for board_id, reply in replies.items() if reply[0] == "elsewhere"]
            if not asked:
                return headers
        raise ProjectionUnavailableError

    async def get_standings(
        self, board_id: str, user_ids: Sequence[str] = (), top_n: int = 0, period_id: str = ALL_TIME
    ) -> Reading | None:
        """Read some users' standings and the top of a board; None where the board has no projection.

        A period that is not final and that nobody has points in has no entrants, here and below. Users who
        are hidden are among those asked for and nowhere else, here and below, and in no number of entrants.

        Raises:
            OverloadedError: too many reads wait.
            ProjectionUnavailableError: Redis is unavailable.
        """
        return await self._reads.read(board_id, ask_standings(user_ids, top_n, period_id))

    async def list_standings(
        self, board_id: str, page_size: int, page_token: str, period_id: str = ALL_TIME
    ) -> Reading | None:
        """Read a page of a board; None where the board has no projection.

        Raises:
            InvalidRequestError: the page token is none that was given here.
            OverloadedError: too many reads wait.
            ProjectionUnavailableError: Redis is unavailable.
        """
        return await self._reads.read(board_id, ask_page(page_size, read_page_token(page_token), period_id))

    async def list_standings_around(
        self, board_id: str, user_id: str, radius: int, period_id: str = ALL_TIME
    ) -> Reading | None:
        """Read a user and its neighbours; None where the board has no projection.

        There are none of a user who is hidden, or has no points. One who is shadowed stands where it would,
        and the ranks of the others do not count it.

        Raises:
            OverloadedError: too many reads wait.
            ProjectionUnavailableError: Redis is unavailable.
        """
        return await self._reads.read(board_id, ask_neighbours(user_id, radius, period_id))

    async def compare_standings(
        self, board_id: str, revision: int, lines: str, period_id: str = ALL_TIME
    ) -> Comparison | None:
        """Compare standings of the record with a board; None where it has no projection.

        Args:
            board_id: the board.
            revision: where the record stood when the lines were read.
            lines: `user_id total reached_revision[ version[ flag]]` of some thousand users at most, where who
                has no flag is visible; none to learn the number of members.
            period_id: of which period they are.

        Raises:
            ProjectionUnavailableError: Redis is unavailable.
        """
        period_ids = [] if period_id == ALL_TIME else [period_id]
        reply = await self._read(
            "compare_standings", board_id, period_ids, [str(revision), lines], self._bulk
        )
        return None if reply is None else read_comparison(reply)

    async def drop_board(self, board_id: str, header: Header) -> None:
        """Remove a board's projection if it still says what it said.

        Raises:
            ProjectionUnavailableError: Redis is unavailable.
        """
        keys, position = self._keys.of_board(board_id, *header.seen), header.position
        call = ScriptCall(keys, [header.generation, str(position.revision), position.mark])
        await self._cache.run("drop_board", call)

    async def require_writes(self, board_id: str) -> None:
        """Make sure that Redis accepts writes to a board now, without any.

        Raises:
            ProjectionUnavailableError: Redis is unavailable, or rejects writes.
        """
        await self._cache.run("check_writes", ScriptCall([self._keys.check(board_id)], []))

    async def is_being_made(self, board_id: str) -> bool:
        """Return whether somebody, in any process, is making a generation of a board.

        Raises:
            ProjectionUnavailableError: Redis is unavailable.
        """
        _, is_made = await self._get_making(board_id)
        return is_made

    def make_generation(self, board_id: str, seen: Header | None) -> Generation:
        """Begin a generation to take the place of the one in a header, or of a header that is not there."""
        former = seen.seen if seen else self._seen.get(board_id, Seen())
        replaced = seen.generation if seen else ""
        return Generation(self._bulk, self._keys, board_id, secrets.token_hex(8), replaced, former)

    async def adopt_generation(self, board_id: str, seen: Header | None) -> Generation | None:
        """Go on with the generation that was last being made, by any process; None where there is none.

        Raises:
            ProjectionUnavailableError: Redis is unavailable.
        """
        other, _ = await self._get_making(board_id)
        if not other:
            return None
        generation = self.make_generation(board_id, seen)
        return generation if await generation.adopt(other) else None

    async def _get_making(self, board_id: str) -> tuple[str, bool]:
        """Return which generation of a board was last being made, and whether its maker is at it."""
        times = [str(SECONDS_TO_LIVE), str(SECONDS_ALONE)]
        call = ScriptCall([self._keys.making(board_id)], times)
        generation, is_made = await self._cache.run("get_making", call)
        return generation, bool(is_made)

    @asynccontextmanager
    async def subscribe(self, board_id: str) -> AsyncIterator[AsyncIterator[Hint]]:
        """Receive what is applied to a board from now on, until Redis becomes unavailable.

        Raises:
            ProjectionUnavailableError: Redis is unavailable, or there are too many subscriptions; the former
                also out of the iterator.
        """
        async with self._cache.subscribe(self._keys.channel(board_id)) as messages:
            yield (hint async for message in messages if (hint := _read_hint(message)))

    async def _answer(self, board_id: str, questions: Sequence[Question]) -> Sequence[Reading | None]:
        """Put questions to a board; None to each where the board has no projection."""
        period_ids = list_periods(questions)
        indexes = {period_id: index for index, period_id in enumerate((ALL_TIME, *period_ids))}
        words = [word for question in questions for word in question.words(indexes)]
        reply = await self._read("read_board", board_id, period_ids, words)
        if reply is None:
            return [None] * len(questions)
        position, answers, ranked = read_answers(reply)
        return [
            question.read(position, answer, ranked[indexes[question.period_id]])
            for question, answer in zip(questions, answers, strict=True)
        ]

    async def _read(
        self,
        script: str,
        board_id: str,
        period_ids: Sequence[str],
        arguments: Sequence[str],
        cache: Cache | None = None,
    ) -> list[Any] | None:
        """Run a read script in the board's generation, which may have changed since it was last seen."""
        for _ in range(_READS_MAX):
            call = self._call(board_id, period_ids, *arguments)
            reply: list[Any] = await (cache or self._cache).run(script, call)
            if reply[0] == "read":
                return reply
            header = self._remember(board_id, reply)
            if header is None or not header.is_whole:
                return None
        raise ProjectionUnavailableError

    def _call(self, board_id: str, period_ids: Sequence[str], *arguments: str) -> ScriptCall:
        generation, _ = self._seen.get(board_id, Seen())
        keys = self._keys.of_board(board_id, generation, period_ids)
        return ScriptCall(keys, [generation, " ".join(period_ids), *arguments])

    def _periods_of(self, board_id: str) -> Sequence[str]:
        return self._seen.get(board_id, Seen()).periods

    def _remember(self, board_id: str, reply: Sequence[str]) -> Header | None:
        """Read the header in a reply, and keep what tells which keys the next call is given."""
        header = read_header(reply)
        if header is not None:
            self._note(board_id, header.seen)
        return header

    def _note(self, board_id: str, seen: Seen) -> None:
        self._seen[board_id] = seen
        if len(self._seen) > _SEEN_MAX:
            self._seen.popitem(last=False)


def _read_hint(message: str) -> Hint | None:
    hint = read_hint(message)
    if hint is None:
        _log.warning("hint_malformed")
    return hint
